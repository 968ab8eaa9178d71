"""Bars in a terminal: one view for all downloads of the process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from towpath.downloads.progress import Report

__all__ = ["shown_bar"]

_AFTER = 0.3  # seconds; what is done before needs no bar
_LONGEST_NAME = 40


class _View:
    """The bars that are shown now; it ends with the last of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._count = 0

    def add(self, name: str, total: int | None) -> TaskID:
        """Add a bar."""
        with self._lock:
            if self._progress is None:
                self._progress = _new_progress()
                self._progress.start()
            self._count += 1
            return self._progress.add_task("", total=total, file=name)

    def update(self, task: TaskID, done: int, total: int | None) -> None:
        """Move a bar."""
        with self._lock:
            if self._progress is not None:
                self._progress.update(task, completed=done, total=total)

    def end(self, task: TaskID, *, is_whole: bool) -> None:
        """Fill a bar whose download is whole; the view goes with the last one."""
        with self._lock:
            if self._progress is None:
                return
            total = self._progress.tasks[task].total
            if is_whole and total is not None:
                self._progress.update(task, completed=total)
            self._count -= 1
            if not self._count:
                self._progress.stop()
                self._progress = None


_view = _View()


def _new_progress() -> Progress:
    """Return a view on standard error, so that results on standard output stay clean."""
    return Progress(
        TextColumn("{task.fields[file]}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


@contextmanager
def shown_bar(name: str) -> Iterator[Report]:
    """Give what moves the bar of *name*, which appears when the download takes a moment."""
    began, tasks = time.monotonic(), list[TaskID]()
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"

    def report(done: int, total: int | None) -> None:
        if not tasks:
            if time.monotonic() - began < _AFTER:
                return
            tasks.append(_view.add(short, total))
        _view.update(tasks[0], done, total)

    is_whole = False
    try:
        yield report
        is_whole = True
    finally:
        for task in tasks:
            _view.end(task, is_whole=is_whole)
