"""Work that other threads do: for async code, for several processors, and while one waits."""

import functools
import os
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar

import anyio.to_thread

__all__ = ["Crew", "Job", "in_thread", "side_by_side"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


def in_thread(function: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Return the async twin of *function*: same parameters, run in a worker thread.

    The context (current request, settings) goes along. A cancelled twin stops waiting; the
    thread finishes its work.
    """

    @functools.wraps(function)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(function, *args, **kwargs)
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)

    if twin.__doc__:
        twin.__doc__ = f"Do what `{function.__name__}` does, off the event loop."
    twin.__name__ = f"{function.__name__}_async"
    return twin


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


class Crew:
    """Threads that stay: as many as jobs were open at once, up to a limit.

    A pool of `concurrent.futures` costs 50 to 100 us more for each job, for what nobody asks of it
    here: futures that are cancelled, have callbacks, or are waited for until a moment
    (docs/decisions/0007).

    Args:
        name: what its threads are called.
        most: how many there may be; jobs beyond them wait.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self._hire()

    def begin(self, work: Callable[[], T]) -> Job[T]:
        """Begin *work* in a thread; do it here and now where none takes it.

        So it is when the interpreter is about to end. The caller waits for the job's end, whatever
        happens: at exit nobody else does.
        """
        job = Job(work)
        if self._process != os.getpid():
            self._hire()
        if sys.is_finalizing() or not self._take(job):
            job.do()
            job.end()
        return job

    def _hire(self) -> None:
        """Begin without threads, as a forked child has to."""
        self._process = os.getpid()
        self._waiting: SimpleQueue[Job[Any]] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = self._threads = 0

    def _take(self, job: Job[Any]) -> bool:
        """Begin a job; return False where no thread takes it."""
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
        if self._threads < self.most:
            with suppress(RuntimeError):  # no thread is started any more
                threading.Thread(target=self._work, name=self.name, daemon=True).start()
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


_MOST_HELPERS = 8
_company = Crew("towpath", _MOST_HELPERS)


def side_by_side(
    function: Callable[[S], T], values: Iterable[S], *, helpers: int = _MOST_HELPERS
) -> list[T]:
    """Call *function* with each value, in this thread and others; return the results in order.

    Each takes the next value when it is done with one, so that a thread that comes late, or only
    when another call has no more work for it, holds nobody up. The context (current request,
    settings) goes along. All calls end before an error is raised.

    Args:
        function: what is called.
        values: what it is called with.
        helpers: how many other threads help; 8 at most, for all callers together.
    """
    jobs = [Job(functools.partial(copy_context().run, function, value)) for value in values]
    waiting = deque(jobs)
    for _ in range(min(helpers, len(jobs) - 1)):
        _company.begin(functools.partial(_work_off, waiting))
    _work_off(waiting)
    for job in jobs:
        job.wait()
    return [job.result() for job in jobs]


def _work_off(waiting: deque[Job[T]]) -> None:
    """Do what waits, until nothing does."""
    with suppress(IndexError):
        while True:
            job = waiting.popleft()
            job.do()
            job.end()
