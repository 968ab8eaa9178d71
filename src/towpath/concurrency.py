"""The one bridge from async code to sync code."""

import functools
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

import anyio.to_thread

__all__ = ["in_thread", "side_by_side"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
_MOST_THREADS = 8


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


def side_by_side(function: Callable[[S], T], values: Iterable[S]) -> list[T]:
    """Call *function* with each value in up to 8 threads; return the results in order.

    The context (current request, settings) goes along. All calls end before an error is raised.
    """
    listed = list(values)
    if len(listed) < 2:  # noqa: PLR2004 - one needs no company
        return [function(value) for value in listed]
    with ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="towpath") as pool:
        futures = [pool.submit(copy_context().run, function, value) for value in listed]
    return [future.result() for future in futures]
