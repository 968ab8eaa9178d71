"""Sync code in threads that can be interrupted, and a process that ends when it cannot."""

import asyncio
import ctypes
import faulthandler
import threading
from collections.abc import Callable
from typing import Any

from towpath.errors import RequestCancelled, RequestCancelledError
from towpath.runner.containing import contained
from towpath.runner.crashes import crash_file

__all__ = ["Doom", "Job"]


class Job:
    """A call in a thread, which `interrupt` stops at its next line of Python.

    What runs inside of a C call is told when that returns.

    Args:
        call: what is run.
    """

    def __init__(self, call: Callable[[], Any]) -> None:  # Any: the author's value
        self._call = call
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._is_told = False
        self._is_over = False

    def run(self) -> Any:  # noqa: ANN401 - the author's value
        """Run the call; an interrupt that comes too late is swallowed here.

        Raises:
            RequestCancelledError: it was interrupted.
        """
        try:
            try:
                self._open()
                with contained():
                    result = self._call()
            finally:
                self._close()
            if self._is_told:
                self._swallow()
        except RequestCancelled:
            self._close()  # there is no second one
            raise RequestCancelledError from None
        except StopIteration as error:
            message = "the endpoint raised StopIteration"
            raise RuntimeError(message) from error
        return result

    def interrupt(self) -> None:
        """Raise RequestCancelled in the call; one that has not begun does not begin."""
        with self._lock:
            if self._thread is not None and not self._is_told:
                self._is_told = True
                _raise_in(self._thread)
            self._is_over = True

    def _open(self) -> None:
        """Let this thread be interrupted from now on."""
        with self._lock:
            if self._is_over:
                raise RequestCancelledError
            self._thread = threading.get_ident()

    def _close(self) -> None:
        """Let nobody interrupt this thread any more; it goes on to other calls."""
        with self._lock:
            self._thread, self._is_over = None, True

    @staticmethod
    def _swallow() -> None:
        """Wait for what was raised and has not arrived yet: it does at the next turn of a loop.

        It cannot be taken back: in CPython 3.11 that leaves every thread looking for it for ever.
        """
        for _ in range(1000):
            pass


def _raise_in(thread: int) -> None:
    """Raise RequestCancelled in a thread at its next line."""
    error = ctypes.py_object(RequestCancelled)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


class Doom:
    """Ends the process when code that was told to stop goes on for longer than its grace.

    A thread of C watches over it, because the code may hold the interpreter. It writes the stacks
    of all threads for the operator (`runner.crashes`).

    Args:
        grace: seconds.
    """

    def __init__(self, grace: float) -> None:
        self._grace = max(0.1, grace)
        self._waiting: dict[int, float] = {}

    def expect(self, what: object) -> None:
        """Wait for *what* to end from now on."""
        now = asyncio.get_running_loop().time()
        self._waiting[id(what)] = now + self._grace
        self._arm(now)

    def forgive(self, what: object) -> None:
        """Note that *what* has ended."""
        if self._waiting.pop(id(what), None) is not None:
            self._arm(asyncio.get_running_loop().time())

    def _arm(self, now: float) -> None:
        """Watch over the one whose grace ends first."""
        if self._waiting:
            seconds = max(0.05, min(self._waiting.values()) - now)
            faulthandler.dump_traceback_later(seconds, exit=True, file=crash_file())
        else:
            faulthandler.cancel_dump_traceback_later()
