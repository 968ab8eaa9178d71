"""Exceptions that no code of the app catches: of its threads, its tasks, its `__del__`.

Python prints their tracebacks to standard error, which is the log of the request at work: its
caller read paths and values of the author's machine. Here the operator is told the traceback, and
the request's log has one sentence (as `runner.failing` does for endpoints).

A `__del__` and a task may fail while the garbage collector runs, in a thread that holds any lock,
that of the pipe to the server too. So a hook takes no lock: it puts the report where a thread
takes it from, and so does the end of each request, which no line of its log may follow.

An app that sets a hook of its own has that one. A forked child has Python's hooks again.
"""

import asyncio
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from towpath.app.tracebacks import authors_traceback
from towpath.context import current_request
from towpath.runner.propagation import request_of

__all__ = ["Uncaught"]

_MOST_WAITING = 1000
_LONGEST = 200  # characters of a name

TellOperator = Callable[[str, str], None]
"""Takes a request's id and a line that only the operator reads."""
Say = Callable[[str, str], None]
"""Takes a request's id, empty for one that is not known, and a line of its log."""


@dataclass(frozen=True, slots=True)
class _Report:
    """One exception: whose, where, of what type, and its traceback."""

    request_id: str
    where: str
    kind: str
    trace: str


class Uncaught:
    """Tells of exceptions that nothing catches, from `install` to `remove`.

    Args:
        tell_operator: takes the lines of tracebacks.
        say: takes the sentence for the request's log.
    """

    def __init__(self, tell_operator: TellOperator, say: Say) -> None:
        self._tell_operator = tell_operator
        self._say = say
        self._waiting: deque[_Report] = deque(maxlen=_MOST_WAITING)
        self._news: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._hooks = self._of_thread, self._unraisable  # bound once: `remove` compares them

    def install(self) -> None:
        """Take the place of Python's hooks."""
        threading.excepthook, sys.unraisablehook = self._hooks
        threading.Thread(target=self._pass_on, name="runner uncaught", daemon=True).start()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear of the exceptions that *loop* meets in tasks and callbacks."""
        loop.set_exception_handler(lambda _, context: self._of_loop(context))

    def remove(self) -> None:
        """Give Python's hooks back, unless the app has put its own there."""
        if threading.excepthook is self._hooks[0]:
            threading.excepthook = threading.__excepthook__
        if sys.unraisablehook is self._hooks[1]:
            sys.unraisablehook = sys.__unraisablehook__

    def drain(self) -> None:
        """Tell what waits to be told."""
        with self._lock:
            while self._waiting:
                self._tell(self._waiting.popleft())

    # --- the hooks ---

    def _of_thread(self, args: threading.ExceptHookArgs) -> None:
        """Note how a thread ended; SystemExit is the usual way to end one early."""
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else "without a name"
            request = request_of(args.thread) if args.thread is not None else current_request()
            request_id = request.request_id if request is not None else ""
            self._note(f"Thread {name}", args.exc_value, args.exc_type, request_id)

    def _unraisable(self, args: "sys.UnraisableHookArgs") -> None:
        """Note an exception that Python cannot raise anywhere: in `__del__`, or a callback of C."""
        name = getattr(args.object, "__qualname__", "") or type(args.object).__name__
        self._note(str(name), args.exc_value, args.exc_type, _current_id())

    def _of_loop(self, context: dict[str, Any]) -> None:  # Any: asyncio's
        """Note what an event loop tells of a task or a callback."""
        source = context.get("task") or context.get("future")
        where = "A callback of the event loop"
        if isinstance(source, asyncio.Task):
            where = f"Task {source.get_name()}"
        error = context.get("exception")
        if error is not None:
            self._note(where, error, type(error), _current_id())
        else:
            said = "\n".join(f"{key}: {value!r}" for key, value in context.items())
            self._put(_Report(_current_id(), where, "", said))

    # --- pieces ---

    def _note(
        self,
        where: str,
        error: BaseException | None,
        kind: type[BaseException],
        request_id: str,
    ) -> None:
        """Put an exception where it is taken from; its values are not kept alive."""
        self._put(_Report(request_id, where[:_LONGEST], kind.__name__[:_LONGEST], _trace(error)))

    def _put(self, report: _Report) -> None:
        self._waiting.append(report)
        self._news.put(None)

    def _pass_on(self) -> None:
        """Tell what comes, for as long as the process lives."""
        while True:
            self._news.get()
            self.drain()

    def _tell(self, report: _Report) -> None:
        """Tell the operator all of it, and the request's log that it was."""
        for line in (f"{report.where} failed:", *report.trace.splitlines()):
            self._tell_operator(report.request_id, line)
        if report.kind:
            said = f"{report.where} failed with {report.kind}; the server's log says why."
            self._say(report.request_id, said)


def _current_id() -> str:
    request = current_request()
    return request.request_id if request is not None else ""


def _trace(error: BaseException | None) -> str:
    """Format an error; where its own code prevents that, name its type."""
    if error is None:
        return ""
    try:
        return authors_traceback(error) or "".join(traceback.format_exception(error))
    except Exception as other:  # noqa: BLE001 - the author's `__str__` may raise anything
        return f"{type(error).__name__}, which cannot be shown: {type(other).__name__}"
