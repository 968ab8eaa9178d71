"""Where a runner's interpreter writes the stacks of its threads when it crashes or is ended.

The naive place is standard error. Its lines belong to the request at work, whose caller reads them:
the paths of the server's files and of the author's code went to strangers. So stacks go into a file
of the runner's own folder. The server reads it when the runner has ended, and tells its operator.

Children that the app forks have the file too: each write is appended, and says why a child crashed.
"""

import faulthandler
import os
from io import FileIO
from pathlib import Path

__all__ = ["IS_OVERDUE", "crash_file", "record_crashes"]

IS_OVERDUE = "Timeout ("
"""Begins what faulthandler writes when the time is over that code had to stop."""
_STDERR = 2


class _Process:
    """Where this process writes stacks; without a file, to standard error."""

    file: FileIO | None = None


def record_crashes(path: Path) -> None:
    """Have the stacks of this process appended to a file; lost where it cannot be opened."""
    try:
        file = FileIO(path, "a")
    except OSError:
        file = FileIO(os.devnull, "a")
    _Process.file = file
    faulthandler.enable(file)


def crash_file() -> FileIO | int:
    """Return what stacks are written to: a file, or a descriptor."""
    return _STDERR if _Process.file is None else _Process.file
