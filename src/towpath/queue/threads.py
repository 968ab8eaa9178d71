"""The threads in which the queue's database is asked.

They are the queue's own: a database that does not answer holds a thread for as long as it is waited
for, and with the threads that everybody shares it would hold files and uploads too.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

__all__ = ["in_queue_thread"]

P = ParamSpec("P")
T = TypeVar("T")
_MOST = 40
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("towpath_queue")


def in_queue_thread(function: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Return the async twin of a method of the queue; see `concurrency.in_thread`."""

    async def twin(*args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(function, *args, **kwargs)
        return await to_thread.run_sync(call, abandon_on_cancel=True, limiter=_threads())

    return twin


def _threads() -> anyio.CapacityLimiter:
    """Return the limit of this event loop."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MOST)
        _limiter.set(limiter)
        return limiter
