"""Sidecars: what is known of a blob, in a file of JSON that an index can be rebuilt from."""

import json
from pathlib import Path

from towpath.storage.records import StoredFile

__all__ = ["read_sidecar", "sidecar_of", "write_sidecar"]


def sidecar_of(record: StoredFile) -> bytes:
    """Return what a sidecar has in it."""
    return json.dumps(record.to_json()).encode()


def write_sidecar(path: Path, record: StoredFile) -> None:
    """Write a sidecar; nobody waits for the disk.

    Raises:
        OSError: it cannot be written.
    """
    content = sidecar_of(record)
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o750, exist_ok=True)  # the store itself is closed
        path.write_bytes(content)


def read_sidecar(path: str) -> StoredFile | None:
    """Return what a sidecar says, None if it is gone or broken."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a rebuild reads them all
            return StoredFile.from_json(json.loads(file.read()))
    except (OSError, ValueError, TypeError):
        return None
