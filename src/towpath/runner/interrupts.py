"""Sync code in threads that can be interrupted, and a process that ends when it cannot."""

import asyncio
import ctypes
import faulthandler
import threading
from collections.abc import Callable
from typing import Any

from towpath.errors import RequestCancelled, RequestCancelledError

__all__ = ["Doom", "Job"]

_STDERR = 2


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
        self._is_over = False

    def run(self) -> Any:  # noqa: ANN401 - the author's value
        """Run the call; an interrupt that comes too late is swallowed here."""
        with self._lock:
            if self._is_over:
                raise RequestCancelledError
            self._thread = threading.get_ident()
        try:
            result = self._call()
        except RequestCancelled:
            raise RequestCancelledError from None
        except StopIteration as error:
            message = "the endpoint raised StopIteration"
            raise RuntimeError(message) from error
        finally:
            self._close()
        return result

    def _close(self) -> None:
        """Let nobody interrupt this thread any more; it goes on to other calls."""
        while True:
            try:
                with self._lock:
                    thread, self._thread, self._is_over = self._thread, None, True
                    if thread is not None:
                        _raise_in(thread, None)
            except RequestCancelled:
                continue
            return

    def interrupt(self) -> None:
        """Raise RequestCancelled in the call; one that has not begun does not begin."""
        with self._lock:
            if self._thread is not None:
                _raise_in(self._thread, RequestCancelled)
            else:
                self._is_over = True


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise *error* in a thread at its next line; None takes back one that was not raised yet."""
    target = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), target)


class Doom:
    """Ends the process when code that was told to stop goes on for longer than its grace.

    A thread of C watches over it, because the code may hold the interpreter.

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
            faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)
        else:
            faulthandler.cancel_dump_traceback_later()
