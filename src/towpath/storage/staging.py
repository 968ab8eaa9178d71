"""Files on their way into the store: durable in its tmp/, seen by nobody."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from towpath.concurrency import Job
from towpath.storage.background import in_background
from towpath.storage.disk import PIECE, Disk, told
from towpath.storage.labels import label
from towpath.storage.records import StoredFile
from towpath.storage.sidecars import write_sidecar

__all__ = [
    "Describe",
    "Incoming",
    "NewFile",
    "Shelf",
    "Staged",
    "digest_of",
    "staged_bytes",
    "staged_link",
]

Describe = Callable[[int, str], StoredFile]
"""Says what is known of a file, once its size and its digest are; '' is none yet."""

Shelf = Callable[[str], Path]
"""Says where the sidecar of an id lies."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file in tmp/, durable there.

    Attributes:
        path: the bytes.
        id: what they will be found by.
        described: says all that is known of them; their digest is computed while they go to the
            disk, and then the sidecar is written, if it may be.
        sidecar: where it is written; None if nothing may be known of the file before it has its id.
        is_labelled: whether what is known lies on the disk with the bytes.
    """

    path: Path
    id: str
    described: Job[StoredFile]
    sidecar: Path | None
    is_labelled: bool

    def record(self) -> StoredFile:
        """Return what is known of the file; wait for its digest.

        Raises:
            OSError: the bytes could not be read, or the sidecar not be written.
        """
        return self.described.result()

    def discard(self) -> None:
        """Remove it."""
        self.described.wait()
        self.path.unlink(missing_ok=True)
        if self.sidecar is not None:
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

    def staged(self, describe: Describe, shelf: Shelf | None) -> Staged:
        """Make it durable; see `staged_bytes`.

        Raises:
            OSError: it cannot be; nothing is left.
        """
        sha256 = self.sha256
        known = describe(self.size, sha256)
        staged = _staged(self._disk, self._path, known, lambda: sha256, self._written(), shelf)
        self._is_staged = True
        return staged

    @contextmanager
    def _written(self) -> Iterator[int]:
        """Write what is left, and give the descriptor that wrote: it is told of what goes wrong."""
        self._file.flush()
        yield self._file.fileno()
        self._file.close()


def staged_bytes(
    disk: Disk, path: Path, data: bytes, describe: Describe, shelf: Shelf | None
) -> Staged:
    """Write bytes durably; their digest is computed meanwhile.

    Args:
        disk: what writes.
        path: a name in tmp/ that nobody has.
        data: the bytes.
        describe: says what is known of them.
        shelf: where the sidecar goes, before anybody waits for it: they get a label. Without it
            they get none, and no sidecar yet.

    Raises:
        OSError: they cannot be written; nothing is left.
    """

    def digest() -> str:
        return hashlib.sha256(data).hexdigest()

    known = describe(len(data), "")
    return _staged(disk, path, known, digest, disk.written(path, data), shelf)


def staged_link(disk: Disk, path: Path, describe: Describe) -> Staged:
    """Make the file at *path*, a link of somebody's, durable; it is read meanwhile.

    It gets no label: it may be in the store already, under another id.

    Raises:
        OSError: it cannot be; the link is gone.
    """
    known = describe(path.stat().st_size, "")
    return _staged(disk, path, known, partial(digest_of, path), _opened(path), None)


def digest_of(path: Path) -> str:
    """Return the digest of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a file for its descriptor."""
    with path.open("rb", buffering=0) as file:
        yield file.fileno()


def _staged(
    disk: Disk,
    path: Path,
    known: StoredFile,
    digest: Callable[[], str],
    written: AbstractContextManager[int],
    shelf: Shelf | None,
) -> Staged:
    """Make a file durable.

    Args:
        disk: what syncs.
        path: where it is, in tmp/.
        known: what is known of it; its digest may be missing.
        digest: computes that.
        written: writes its bytes, and gives their descriptor.
        shelf: where the sidecar goes.
    """
    sidecar = None if shelf is None else shelf(known.id)
    described = in_background(partial(_described, known, digest, sidecar))
    staged = Staged(path, known.id, described, sidecar, is_labelled=False)
    try:
        with written as descriptor:
            is_labelled = sidecar is not None and label(descriptor, known)
            disk.sync_open(descriptor)
    except BaseException:
        with suppress(OSError):
            staged.discard()
        raise
    return replace(staged, is_labelled=is_labelled)


def _described(known: StoredFile, digest: Callable[[], str], sidecar: Path | None) -> StoredFile:
    """Return all that is known of a file; write it down."""
    record = replace(known, sha256=digest())
    if sidecar is not None:
        write_sidecar(sidecar, record)
    return record
