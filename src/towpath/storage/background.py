"""Jobs for threads that wait for a disk or a store while their caller goes on.

A pool of `concurrent.futures` costs 50 to 100 us more each time, for what nobody asks of it here:
futures that are cancelled, have callbacks, or are waited for until a moment (docs/decisions/0007).
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

__all__ = ["Job", "in_background", "in_turn"]

S = TypeVar("S")
T = TypeVar("T")
_MOST_THREADS = 32
"""They wait for the disk, not the processor; one commit of a file system serves many of them."""


class Job(Generic[T]):
    """Something that is done meanwhile.

    Args:
        work: what is to be done.
    """

    __slots__ = ("_ended", "_error", "_value", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._ended = threading.Lock()
        self._ended.acquire()
        self._error: BaseException | None = None

    def do(self) -> None:
        """Do it; what it raises is kept."""
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001 - told to the one who waits
            self._error = error

    def end(self) -> None:
        """Wake those who wait."""
        self._ended.release()

    def wait(self) -> None:
        """Return when it has ended, well or not."""
        with self._ended:
            pass

    def result(self) -> T:
        """Wait for its end; return what came of it.

        Raises:
            BaseException: what it raised.
        """
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value


class _Crew:
    """The threads of one process: as many as jobs were open at once, up to 32."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._waiting: SimpleQueue[Job[Any]] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = self._threads = 0

    def take(self, job: Job[Any]) -> bool:
        """Begin a job; return False where there is no thread, and none can be started."""
        with self._lock:
            if self._open >= self._threads:
                self._grow()
            if not self._threads:
                return False
            self._open += 1
        self._waiting.put(job)
        return True

    def _grow(self) -> None:
        """Start one thread more, if there may be one."""
        if self._threads < _MOST_THREADS:
            with suppress(RuntimeError):  # no thread is started any more
                threading.Thread(target=self._work, name="towpath-disk", daemon=True).start()
                self._threads += 1

    def _work(self) -> None:
        """Do one job after the other."""
        while True:
            job = self._waiting.get()
            job.do()
            with self._lock:
                self._open -= 1
            job.end()
            del job  # what it holds is not kept until the next one comes


class _Here:
    """The crew of this process; a forked child makes its own."""

    crew = _Crew()


def in_background(work: Callable[[], T]) -> Job[T]:
    """Begin *work* in a thread; do it here and now when the interpreter is about to end.

    The caller waits for its end, whatever happens: at exit nobody else does.
    """
    job = Job(work)
    if _Here.crew.process != os.getpid():
        _Here.crew = _Crew()
    if sys.is_finalizing() or not _Here.crew.take(job):
        job.do()
        job.end()
    return job


def in_turn(work: Callable[[], S], rest: Callable[[S], T]) -> tuple[Job[S], Job[T]]:
    """Begin *work*, and then, in the same thread, *rest* of what came of it.

    If *work* fails, *rest* is not done, and fails with the same error.
    """
    first = Job(work)

    def both() -> T:
        first.do()
        first.end()
        return rest(first.result())

    return first, in_background(both)
