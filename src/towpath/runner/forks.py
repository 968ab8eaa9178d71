"""A child that an app's code forks is the app's: nothing in it may act for the runner.

`os.fork` copies the whole process (`multiprocessing` with the fork context, `ProcessPoolExecutor`,
`subprocess` with `preexec_fn`). What we have set up comes along, and the naive runner leaves it so.
Then:

- a SIGTERM for the child runs Python's C handler, which writes the signal's number into the wakeup
  descriptor. That is a socket pair shared with the runner, whose loop reads the number and drains:
  `Process.terminate()` stops the runner. (`signal.set_wakeup_fd` and handlers outlive a fork.)
- a lock that another thread holds at that moment is held for ever: the child's first `print` hangs.
- the child holds the listening socket, the pipe to the server, the callers' connections, and the
  loop's epoll instance, which reports on descriptors as long as any process has them open
  (epoll(7), "Will closing a file descriptor cause it to be removed").
- `concurrent.futures` waits at the end for the threads of its pools. The child's only thread is one
  of them: "cannot join current thread", and `Process.exitcode` is 1 after work well done.
- a child that returns from the endpoint goes on in the runner's thread, or serves beside it.

So signals wait from before the fork until the child has the system's handlers. Its copies of our
descriptors become /dev/null: they are not closed, because objects in the child still know their
numbers, and would close what the app opens under one later. What it writes goes back to the runner
as datagrams (`runner.relay`). A child that returns from the endpoint ends there.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import thread as thread_pools
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["Forks", "end_if_forked", "give_up", "open_descriptors"]

_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None  # Any: ignored
_OURS: dict[signal.Signals, _Handler] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
_DESCRIPTORS = Path("/dev/fd")


class _Process:
    """Whether this process is a child that was forked from a runner."""

    is_forked = False


class Forks:
    """Takes what is the runner's from every child that is forked from now on.

    Args:
        before: called before a fork.
        in_runner: called after a fork, in the runner.
        in_child: called after a fork, in the child.
    """

    def __init__(
        self,
        *,
        before: Callable[[], None],
        in_runner: Callable[[], None],
        in_child: Callable[[], None],
    ) -> None:
        self._calls = before, in_runner, in_child
        self._masks = threading.local()
        self._kept: list[tuple[int, tuple[int, int]]] = []
        self._more: list[Callable[[], Iterable[int]]] = []
        self._handlers: dict[signal.Signals, _Handler] = {}
        os.register_at_fork(
            before=self._before, after_in_parent=self._in_runner, after_in_child=self._in_child
        )

    def keep(self, descriptors: Iterable[int]) -> None:
        """Keep these from children, as long as they stand for what they do now."""
        self._kept += [(fd, known) for fd in descriptors if (known := _identity(fd)) is not None]

    def keep_all(self, more: Callable[[], Iterable[int]]) -> None:
        """Keep from children what *more* returns when one is forked."""
        self._more.append(more)

    def note_handlers(self) -> None:
        """Take the present handlers of SIGTERM and SIGINT for the runner's."""
        self._handlers = {each: signal.getsignal(each) for each in _OURS}

    def _before(self) -> None:
        """Let signals wait; this thread is the one that the child will have."""
        if not _Process.is_forked:
            self._calls[0]()
        held = signal.valid_signals() - _FAULTS
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, held)

    def _in_runner(self) -> None:
        """Go on as before."""
        self._restore()
        if not _Process.is_forked:
            self._calls[1]()

    def _in_child(self) -> None:
        """Forget the runner, then take signals."""
        try:
            if not _Process.is_forked:
                self._forget()
        finally:
            self._restore()

    def _forget(self) -> None:
        """Leave the runner's signals, descriptors and locks to it."""
        _Process.is_forked = True
        signal.set_wakeup_fd(-1)
        for each, default in _OURS.items():
            if each in self._handlers and signal.getsignal(each) == self._handlers[each]:
                signal.signal(each, default)
        kept = [fd for fd, known in self._kept if _identity(fd) == known]
        give_up([*kept, *(fd for more in self._more for fd in more())])
        thread_pools.__dict__.get("_threads_queues", {}).clear()
        self._calls[2]()

    def _restore(self) -> None:
        """Take the signals that have waited."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)


def end_if_forked(error: BaseException | None) -> None:
    """End this process if it was forked from a runner: its endpoint has returned, or raised."""
    if not _Process.is_forked:
        return
    code = error.code if isinstance(error, SystemExit) else int(error is not None)
    with suppress(Exception):
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
        elif error is not None and not isinstance(error, SystemExit):
            sys.excepthook(type(error), error, error.__traceback__)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF if isinstance(code, int) else int(code is not None))


def open_descriptors() -> set[int]:
    """Return the numbers of the descriptors that this process has open."""
    found = [int(path.name) for path in _DESCRIPTORS.iterdir()]
    return {number for number in found if _identity(number) is not None}


def _identity(descriptor: int) -> tuple[int, int] | None:
    """Return what a descriptor stands for, or None if it is closed."""
    try:
        known = os.fstat(descriptor)
    except OSError:
        return None
    return known.st_dev, known.st_ino


def give_up(descriptors: Iterable[int]) -> None:
    """Let descriptors stand for nothing, without freeing their numbers."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        with suppress(OSError):
            os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)
