"""Exceptions that nothing catches, and how much of a crash is read."""

import sys
import threading
from pathlib import Path

import pytest

from towpath.engine.process import ending
from towpath.runner.process import RunnerFolder
from towpath.runner.uncaught import Uncaught


class Broken:
    def __del__(self) -> None:
        raise ValueError("secret")


def test_what_fails_while_the_pipe_is_locked_waits_for_nobody() -> None:
    """The garbage collector may run a `__del__` in the thread that tells the server something."""
    told: list[str] = []

    def tell(_: str, line: str) -> None:
        if not told:
            told.append(line)
            Broken()  # its report comes after this one
        told.append(line)

    uncaught = Uncaught(tell, lambda _, line: told.append(line))
    uncaught.install()
    try:
        Broken()
        uncaught.drain()
    finally:
        uncaught.remove()
    assert told.count("Broken.__del__ failed with ValueError; the server's log says why.") == 2
    assert sys.unraisablehook is sys.__unraisablehook__
    assert threading.excepthook is threading.__excepthook__


def test_a_crash_is_read_to_its_end_but_not_beyond_64_kib(tmp_path: Path) -> None:
    folder = RunnerFolder(tmp_path)
    assert folder.crash_report() == ""
    folder.crash.write_bytes(b"a" + b"b" * 65536)
    assert folder.crash_report() == "b" * 65536


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "status 0"),
        (3, "status 3"),
        (-11, "signal 11, SIGSEGV"),
        (-99, "signal 99, without a name"),
    ],
)
def test_an_end_is_told_in_words(status: int, words: str) -> None:
    assert ending(status) == words
