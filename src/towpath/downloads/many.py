"""download_files: many URLs, a few at a time."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from os import PathLike
from pathlib import Path
from typing import Unpack

from towpath.concurrency import in_thread
from towpath.downloads.download import download_file
from towpath.downloads.wanted import DownloadOptions

__all__ = ["download_files", "download_files_async"]

_JOIN_EVERY = 0.02
_BUSY = 0.6  # of one processor, beyond which Python threads are in each other's way


def download_files(
    urls: Iterable[str],
    target_dir: str | PathLike[str],
    *,
    concurrency: int = 8,
    force: bool = False,
    request_headers: Mapping[str, str] | None = None,
    **options: Unpack[DownloadOptions],
) -> list[Path]:
    """Download *urls* into *target_dir* and return their paths in the same order.

    Connections are used again, and all bars are one view. When some fail, the others are
    finished before the error is raised.

    Args:
        urls: as download_file takes them.
        target_dir: one folder for all.
        concurrency: how many at a time, at most.
        force: download even what is here already.
        request_headers: sent to each URL's own origin.
        options: see DownloadOptions; they hold for each file.

    Raises:
        ExceptionGroup: of what download_file raised, in the order of the URLs.
        ValueError: the concurrency is below 1.
    """
    if concurrency < 1:
        message = f"concurrency={concurrency}; at least one file at a time is needed"
        raise ValueError(message)

    listed = list(urls)

    def one(url: str) -> Path:
        return download_file(
            url, target_dir, force=force, request_headers=request_headers, **options
        )

    futures = [Future[Path]() for _ in listed]
    crew = _Crew(deque(zip(futures, listed, strict=True)), one)
    crew.work(concurrency)
    errors = [error for future in futures if (error := future.exception()) is not None]
    interrupts = [error for error in errors if not isinstance(error, Exception)]
    if interrupts:
        raise interrupts[0]
    failures = [error for error in errors if isinstance(error, Exception)]
    if failures:
        message = f"{len(failures)} of {len(futures)} downloads failed"
        raise ExceptionGroup(message, failures)
    return [future.result() for future in futures]


class _Crew:
    """Threads that take one file after the other; as many as have something to wait for."""

    def __init__(self, jobs: "deque[tuple[Future[Path], str]]", one: Callable[[str], Path]) -> None:
        self._jobs = jobs
        self._one = one
        self._empty = threading.Event()
        self._over = threading.Event()

    def work(self, most: int) -> None:
        """Do all jobs.

        A thread joins every 20 milliseconds, up to *most*, as long as the processor is not what
        holds the others up: then one more would only be in their way.
        """
        threads = [self._thread()]
        try:
            while self._jobs:
                before = time.perf_counter(), _cpu_of(threads)
                self._empty.wait(_JOIN_EVERY)
                wall, cpu = time.perf_counter() - before[0], _cpu_of(threads) - before[1]
                if self._jobs and len(threads) < most and cpu < _BUSY * wall:
                    threads.append(self._thread())
        finally:
            self._jobs.clear()  # after an interrupt, what has not begun does not begin
            self._over.set()
        for thread in threads:
            thread.join()

    def _thread(self) -> threading.Thread:
        """Start a thread with the context of the caller."""
        context = copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._run,), daemon=True, name="towpath-download"
        )
        thread.start()
        return thread

    def _run(self) -> None:
        """Take jobs until there are none; then stay until nobody asks for this thread's clock."""
        while True:
            try:
                future, url = self._jobs.popleft()
            except IndexError:
                self._empty.set()
                self._over.wait()
                return
            try:
                future.set_result(self._one(url))
            except BaseException as error:  # noqa: BLE001 - the caller gets it
                future.set_exception(error)


def _cpu_of(threads: list[threading.Thread]) -> float:
    """Return the seconds of processor that living *threads* have used."""
    clock = getattr(time, "pthread_getcpuclockid", None)
    if clock is None:
        return time.process_time()
    return sum(time.clock_gettime(clock(each.ident)) for each in threads if each.ident is not None)


download_files_async = in_thread(download_files)
