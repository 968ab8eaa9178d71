"""download_files: many URLs, a few at a time."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from os import PathLike
from pathlib import Path
from typing import Unpack

from towpath.concurrency import in_thread
from towpath.downloads.download import download_file
from towpath.downloads.wanted import DownloadOptions

__all__ = ["download_files", "download_files_async"]


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
        concurrency: how many at a time.
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

    def one(url: str) -> Path:
        return download_file(
            url, target_dir, force=force, request_headers=request_headers, **options
        )

    with ThreadPoolExecutor(concurrency, thread_name_prefix="towpath-download") as pool:
        futures = [pool.submit(copy_context().run, one, url) for url in urls]
    errors = [error for future in futures if (error := future.exception()) is not None]
    interrupts = [error for error in errors if not isinstance(error, Exception)]
    if interrupts:
        raise interrupts[0]
    failures = [error for error in errors if isinstance(error, Exception)]
    if failures:
        message = f"{len(failures)} of {len(futures)} downloads failed"
        raise ExceptionGroup(message, failures)
    return [future.result() for future in futures]


download_files_async = in_thread(download_files)
