"""Stores of every kind, for tests that hold for all of them."""

from pathlib import Path

from towpath.clock import Clock, system_clock
from towpath.storage.disk import Disk
from towpath.storage.file_store import FileStore
from towpath.storage.local import LocalStore


def folder_store(
    root: Path, *, reserve: int = 0, is_durable: bool = True, clock: Clock = system_clock
) -> FileStore:
    """Return a store of files in a folder."""
    return FileStore(LocalStore(root, reserve=reserve, disk=Disk(is_durable)), clock=clock)
