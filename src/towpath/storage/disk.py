"""Bytes and folders made durable while the caller goes on with something else."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from towpath.errors import StoreFullError, StoreUnusableError

__all__ = ["OF_THE_DISK", "Disk", "in_background", "sync", "told"]

OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})
"""What a disk answers that can take no more, or is broken."""

T = TypeVar("T")
_MOST_THREADS = 32
"""They wait for the disk, not the processor; one commit of a file system serves many of them."""


class _Threads:
    """The threads of this process; a forked child makes its own."""

    pool: ThreadPoolExecutor | None = None
    process = 0


def in_background(job: Callable[[], T]) -> "Future[T]":
    """Begin *job* in a thread; do it here and now when the interpreter is about to end."""
    if _Threads.pool is None or _Threads.process != os.getpid():
        _Threads.pool = ThreadPoolExecutor(_MOST_THREADS, "towpath-disk")
        _Threads.process = os.getpid()
    try:
        return _Threads.pool.submit(job)
    except RuntimeError:  # no thread is started any more
        return _done(job)


def _done(job: Callable[[], T]) -> "Future[T]":
    """Do *job*."""
    future: Future[T] = Future()
    try:
        future.set_result(job())
    except Exception as error:  # noqa: BLE001 - told by the future
        future.set_exception(error)
    return future


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
        with path.open("xb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            if self.is_durable:
                os.fsync(file.fileno())

    def sync(self, path: Path | str) -> None:
        """Make a file's content durable, or the names in a folder.

        Raises:
            OSError: it cannot be.
        """
        if self.is_durable:
            sync(path)


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
def told(root: Path) -> Iterator[None]:
    """Say what the disk of *root* answers with errors of ours; other OSErrors go on as they are.

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
            raise StoreFullError(need=None, free=free, reserve=0) from error
        reason = f"The store's disk answered {error.strerror!r}; nothing was changed. Look at it."
        raise StoreUnusableError(reason) from error
