"""Bytes and folders made durable while the caller goes on with something else."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

__all__ = ["all_of", "sync", "synced", "write", "written"]

_MOST_THREADS = 32
"""They wait for the disk, not the processor; one commit of a file system serves many of them."""


class _Threads:
    """The threads of this process; a forked child makes its own."""

    pool: ThreadPoolExecutor | None = None
    process = 0

    @classmethod
    def run(cls, job: Callable[[], None]) -> "Future[None]":
        """Run *job* in a thread, or here when the interpreter is about to end."""
        if cls.pool is None or cls.process != os.getpid():
            cls.pool, cls.process = ThreadPoolExecutor(_MOST_THREADS, "towpath-disk"), os.getpid()
        try:
            return cls.pool.submit(job)
        except RuntimeError:  # no thread is started any more
            return _done(job)


def _done(job: Callable[[], None]) -> "Future[None]":
    """Run *job* here."""
    future: Future[None] = Future()
    try:
        job()
        future.set_result(None)
    except OSError as error:
        future.set_exception(error)
    return future


def written(path: Path, data: bytes) -> "Future[None]":
    """Begin to write a new file and to sync it."""
    return _Threads.run(partial(write, path, data))


def synced(path: Path) -> "Future[None]":
    """Begin to sync a file's content, or the names in a folder."""
    return _Threads.run(partial(sync, path))


def all_of(futures: Iterable["Future[None]"]) -> None:
    """Wait for all of them; then raise the first failure, if there is one.

    Raises:
        OSError: one could not be made durable.
    """
    listed = list(futures)
    wait(listed)
    for future in listed:
        future.result()


def write(path: Path, data: bytes) -> None:
    """Write a new file and sync it.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written.
    """
    with path.open("xb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder.

    Raises:
        OSError: it cannot be.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
