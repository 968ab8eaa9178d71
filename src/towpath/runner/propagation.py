"""The request's context reaches threads and executors that its code makes.

Python gives a new thread an empty context before 3.14, and an executor's thread that of whoever
came first.
"""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from towpath.context import RequestContext, current_request

__all__ = ["propagate_context", "request_of"]

T = TypeVar("T")
_MARK = "_towpath_propagates"
_REQUEST = "_towpath_request"


def propagate_context() -> None:
    """Patch threads and thread pools of this process; a runner does so before it loads the app."""
    if not hasattr(threading.Thread, _MARK):
        # setattr, because mypy takes methods for constants
        setattr(threading.Thread, "start", _starting(threading.Thread.start))  # noqa: B010
        setattr(ThreadPoolExecutor, "submit", _submitting(ThreadPoolExecutor.submit))  # noqa: B010
        setattr(threading.Thread, _MARK, True)


def request_of(thread: threading.Thread) -> RequestContext | None:
    """Return the request that started a thread; its context is gone once its code has failed."""
    request: RequestContext | None = getattr(thread, _REQUEST, None)
    return request


def _starting(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """Return `Thread.start` that gives the thread its starter's context."""

    @functools.wraps(start)
    def started(self: threading.Thread) -> None:
        if (request := current_request()) is not None:
            setattr(self, _REQUEST, request)
            run = self.run
            self.run = functools.partial(copy_context().run, run)  # type: ignore[method-assign]
        start(self)

    return started


def _submitting(submit: Callable[..., "Future[Any]"]) -> Callable[..., "Future[Any]"]:
    """Return `ThreadPoolExecutor.submit` that runs each call in its caller's context."""

    @functools.wraps(submit)
    def submitted(
        self: ThreadPoolExecutor,
        function: Callable[..., T],
        /,
        *args: Any,  # noqa: ANN401 - the caller's
        **kwargs: Any,  # noqa: ANN401 - the caller's
    ) -> "Future[T]":
        if current_request() is None:
            return submit(self, function, *args, **kwargs)
        return submit(self, copy_context().run, function, *args, **kwargs)

    return submitted
