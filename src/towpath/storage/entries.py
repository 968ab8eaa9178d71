"""Entries of folders: listed, linked, cloned, moved, removed."""

import fcntl
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from towpath.context import places

__all__ = ["is_cloned", "is_linked", "is_owned", "is_shared", "moved", "names_in", "remove_if_old"]

_FICLONE = 0x40049409


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder; none if it is not there."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_linked(source: Path, path: Path) -> bool:
    """Link *source*, or what it points to, to *path*; return False where that cannot be."""
    with suppress(OSError):
        real = places().true_path(source.resolve(strict=True))
        if real.is_file():
            os.link(real, path)
            return True
    return False


def is_cloned(source: BinaryIO, path: Path) -> bool:
    """Let *path* share the blocks of *source* where the disk can (FICLONE, ioctl_ficlone(2))."""
    try:
        with path.open("xb") as clone:
            fcntl.ioctl(clone.fileno(), _FICLONE, source.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        return False
    return True


def is_shared(source: BinaryIO, path: Path) -> bool:
    """Let *path* have the bytes of the open file *source* without copying them.

    It is a clone where the disk can, else the same file under another name, which must not be
    written to. Return False where neither can be.
    """
    if not isinstance(source, FileIO):
        return False
    target = places().true_path(path)
    return is_cloned(source, target) or is_linked(Path(source.name), target)


def moved(path: Path, folder: str, name: str) -> list[str]:
    """Move a file into a folder, which may have to be made; return what is to be synced."""
    try:
        os.replace(path, f"{folder}/{name}")  # noqa: PTH105 - on the way of every save
    except FileNotFoundError:
        above = Path(folder)
        above.mkdir(mode=0o750, exist_ok=True)  # the store itself is closed; a list may open this
        path.replace(above / name)
        return [str(above.parent), folder]
    return [folder]


def is_owned(path: Path) -> bool:
    """Return whether the process that made a file in tmp/ still runs."""
    owner = path.name.partition("-")[0]
    if not owner.isdigit():
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def remove_if_old(path: Path, older_than: float) -> bool:
    """Remove *path* if nobody touched it since *older_than*."""
    try:
        if path.stat().st_mtime >= older_than:
            return False
        path.unlink()
    except OSError:
        return False
    return True
