"""The one bridge from async code to sync code."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


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
