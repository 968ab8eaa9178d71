"""Show how a download goes: a bar, a line every few seconds, a function, or nothing."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from towpath.downloads.wanted import Progress

__all__ = ["Report", "reporting"]

Report = Callable[[int, int | None], None]
"""Takes the bytes that are here, and those of the whole file if they are known."""

_log = logging.getLogger("towpath.downloads")
_LINE_EVERY = 5.0
_MIB = 2**20


@contextmanager
def reporting(progress: Progress, name: str) -> Iterator[Report | None]:
    """Give what is told how the download of *name* goes, or None."""
    if callable(progress):
        yield progress
        return
    if progress == "auto":
        progress = "bar" if sys.stderr is not None and sys.stderr.isatty() else "log"
    if progress == "bar":
        with import_module("towpath.downloads.bar").shown_bar(name) as report:
            yield report
    else:
        yield _Lines(name) if progress == "log" else None


class _Lines:
    """Writes a line every five seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._next = self._began + _LINE_EVERY

    def __call__(self, done: int, total: int | None) -> None:
        """Say how far it is, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_EVERY
        rate = done / (now - self._began) / _MIB
        _say(self._name, done, total, rate)


def _say(name: str, done: int, total: int | None, rate: float) -> None:
    """Log a line; write it to standard error where nobody listens to the log."""
    fields = {"file": name, "bytes": done, "of": total, "mib_per_second": round(rate, 1)}
    if _log.isEnabledFor(logging.INFO) and _log.hasHandlers():
        _log.info("downloading", extra=fields)
        return
    if logging.getLogger().handlers or sys.stderr is None:
        return  # somebody set up logging and does not want to know
    whole = "" if total is None else f" of {total / _MIB:.0f}"
    sys.stderr.write(f"downloading {name}: {done / _MIB:.0f}{whole} MiB, {rate:.1f} MiB/s\n")
