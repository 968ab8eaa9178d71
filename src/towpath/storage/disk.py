"""Bytes and folders made durable."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import StoreFullError, StoreUnusableError

__all__ = ["OF_THE_DISK", "PIECE", "Disk", "sync", "told"]

PIECE = 512 * 1024
"""Bytes that are written before they are sent to the disk."""
_HAS_ADVICE = hasattr(os, "posix_fadvise")
OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})
"""What a disk answers that can take no more, or is broken."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where files are written.

    Attributes:
        is_durable: whether what is written outlives a power cut. Without it, it outlives the
            process, and nobody waits for the disk.
    """

    is_durable: bool = True

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file, durably.

        Raises:
            FileExistsError: there is one.
            OSError: it cannot be written.
        """
        with self.written(path, data) as descriptor:
            self.sync_open(descriptor)

    @contextmanager
    def written(self, path: Path, data: bytes) -> Iterator[int]:
        """Write a new file and give its descriptor, for `sync_open`.

        Raises:
            FileExistsError: there is one.
            OSError: it cannot be written.
        """
        rest = memoryview(data)
        with path.open("xb", buffering=0) as file:
            while rest:
                written = file.write(rest[:PIECE])
                rest = rest[written:]
                if rest:
                    self.send(file.fileno(), len(data) - len(rest) - written, written)
            yield file.fileno()

    def send(self, descriptor: int, start: int, size: int) -> None:
        """Let what was written go to the disk while the rest is written; `sync` waits for it.

        The kernel begins to write out what it is told not to keep (posix_fadvise(2)); it is kept
        all the same, for it is not yet clean.
        """
        if self.is_durable and _HAS_ADVICE:
            os.posix_fadvise(descriptor, start, size, os.POSIX_FADV_DONTNEED)

    def sync_open(self, descriptor: int) -> None:
        """Make durable what was written to an open file.

        Raises:
            OSError: it cannot be.
        """
        if self.is_durable:
            os.fsync(descriptor)

    def sync(self, path: Path | str) -> None:
        """Make a file's content durable, or the names in a folder.

        Raises:
            OSError: it cannot be.
        """
        if self.is_durable:
            sync(path)

    def sync_all(self, folders: list[str]) -> None:
        """Make the names in folders durable, the last one first: it has the file.

        Raises:
            OSError: they cannot be.
        """
        for folder in reversed(folders):
            self.sync(folder)


def sync(path: Path | str) -> None:
    """Make a file's content durable, or the names in a folder.

    Raises:
        OSError: it cannot be.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told(root: Path, what: str = "The file") -> Iterator[None]:
    """Say what the disk of *root* answers with errors of ours; other OSErrors go on as they are.

    Args:
        root: a folder on the disk.
        what: is written there, for callers; begins a sentence.

    Raises:
        StoreFullError: it has no room.
        StoreUnusableError: it is broken, or read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            free = shutil.disk_usage(root).free
            raise StoreFullError(need=None, free=free, reserve=0, what=what) from error
        reason = f"The store's disk answered {error.strerror!r}; nothing was changed. Look at it."
        raise StoreUnusableError(reason) from error
