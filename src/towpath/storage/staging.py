"""Files on their way into the store: durable in its tmp/ with their sidecars, seen by nobody."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from towpath.concurrency import Job
from towpath.storage.background import in_turn
from towpath.storage.disk import PIECE, Disk, told
from towpath.storage.records import StoredFile

__all__ = [
    "Describe",
    "Incoming",
    "NewFile",
    "Shelve",
    "Staged",
    "staged_bytes",
    "staged_link",
    "unshelved",
]

Describe = Callable[[int, str], StoredFile]
"""Says what is known of a file, once its size and its digest are."""


Shelve = Callable[[Path, StoredFile], tuple[Path, list[str]]]
"""Brings a sidecar from tmp/ to where it stays; returns that, and the folders to be synced."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file in tmp/, durable there, with its sidecar.

    Attributes:
        path: the bytes.
        record: what the sidecar says.
        sidecar: where it lies: beside the bytes, or where it stays.
        is_shelved: whether it is where it stays.
        rest: what still goes on: the folder that it came into is synced.
    """

    path: Path
    record: StoredFile
    sidecar: Path
    is_shelved: bool
    rest: Job[None]

    def discard(self) -> None:
        """Remove it."""
        self.rest.wait()
        self.path.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class NewFile:
    """What a caller says of a file to save.

    Attributes:
        data: the bytes, where they lie, a stream of them, or what has come in already.
        name: as people see it.
        content_type: kept as given.
        lifetime: seconds from now; None = kept.
        owner: the app or the key that saves it.
        move: whether a path may be linked.
        reserved: the id of a place that was made for it.
    """

    data: "bytes | Path | BinaryIO | Incoming"
    name: str
    content_type: str
    lifetime: int | None = None
    owner: str = ""
    move: bool = False
    reserved: str | None = None


class Incoming:
    """A file whose bytes come one after the other; close it, whatever happens.

    Args:
        path: a name in tmp/ that nobody has.
        check_room: raises when so many bytes more would use up the disk's reserve.
        disk: what writes.
    """

    def __init__(self, path: Path, check_room: Callable[[int], None], disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._check_room = check_room
        self._file = path.open("xb")
        self._digest = hashlib.sha256()
        self._is_staged = False
        self._sent = self.size = 0

    def close(self) -> None:
        """Remove it, unless it was staged."""
        with suppress(OSError):  # what is thrown away need not be written
            self._file.close()
        if not self._is_staged:
            self._path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """The digest of what has come, 64 hex digits."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take some bytes.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            StoreUnusableError: they cannot be written.
        """
        self._check_room(len(data))
        with told(self._path.parent):
            self._file.write(data)
            self.size += len(data)
            if self.size - self._sent >= PIECE:
                self._send()
        self._digest.update(data)

    def _send(self) -> None:
        """Let what has come go to the disk, so that little is left to wait for at the end."""
        self._file.flush()
        self._disk.send(self._file.fileno(), self._sent, self.size - self._sent)
        self._sent = self.size

    def staged(self, describe: Describe, shelve: Shelve) -> Staged:
        """Make it durable.

        Raises:
            OSError: it cannot be; nothing is left.
        """
        described = partial(describe, self.size, self.sha256)
        staged = _with_sidecar(self._disk, self._path, described, self._end, shelve)
        self._is_staged = True
        return staged

    def _end(self) -> None:
        """Wait for the disk by the descriptor that wrote: it is told of all that went wrong."""
        self._file.flush()
        self._disk.sync_open(self._file.fileno())
        self._file.close()


def unshelved(draft: Path, _record: StoredFile) -> tuple[Path, list[str]]:
    """Leave a sidecar in tmp/: another save may be the one that gets the id."""
    return draft, []


def staged_bytes(disk: Disk, path: Path, data: bytes, describe: Describe, shelve: Shelve) -> Staged:
    """Write bytes to *path*; their digest is computed meanwhile.

    Raises:
        OSError: they cannot be written; nothing is left.
    """
    return _with_sidecar(
        disk,
        path,
        lambda: describe(len(data), hashlib.sha256(data).hexdigest()),
        partial(disk.write, path, data),
        shelve,
    )


def staged_link(disk: Disk, path: Path, describe: Describe, shelve: Shelve) -> Staged:
    """Make the file at *path*, a link of somebody's, durable; it is read meanwhile.

    Raises:
        OSError: it cannot be; the link is gone.
    """
    bring = partial(disk.sync, path)
    return _with_sidecar(disk, path, lambda: describe(*_read(path)), bring, shelve)


def _beside(path: Path) -> Path:
    """Return where the sidecar of a staged file is."""
    return Path(f"{path}.json")


def _read(path: Path) -> tuple[int, str]:
    """Return the size and the digest of a file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Noted:
    """A sidecar on the disk.

    Attributes:
        record: what it says.
        sidecar: where it lies.
        folders: what is to be synced: it came there.
    """

    record: StoredFile
    sidecar: Path
    folders: list[str]


def _with_sidecar(
    disk: Disk,
    path: Path,
    described: Callable[[], StoredFile],
    bring: Callable[[], None],
    shelve: Shelve,
) -> Staged:
    """Make a file durable by *bring*; describe it, write its sidecar and shelve it meanwhile."""

    def note() -> _Noted:
        record, draft = described(), _beside(path)
        disk.write(draft, json.dumps(record.to_json()).encode())
        return _Noted(record, *shelve(draft, record))

    noting, rest = in_turn(note, lambda noted: disk.sync_all(noted.folders))
    try:
        try:
            bring()
        finally:
            noting.wait()
        noted = noting.result()
    except BaseException:
        rest.wait()
        with suppress(Exception):
            noting.result().sidecar.unlink(missing_ok=True)
        for each in (path, _beside(path)):
            with suppress(OSError):
                each.unlink(missing_ok=True)
        raise
    return Staged(path, noted.record, noted.sidecar, bool(noted.folders), rest)
