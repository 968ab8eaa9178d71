"""Call an endpoint: sync, async or a generator; in its turn, within its time."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from towpath.errors import DeadlineError

__all__ = ["Invoker", "Limits", "holding"]

_END = object()
_held: ContextVar[AsyncExitStack] = ContextVar("towpath_held")


@asynccontextmanager
async def holding() -> AsyncIterator[None]:
    """Give back what a request's answer holds, its place among others, when the request is over."""
    async with AsyncExitStack() as stack:
        token = _held.set(stack)
        try:
            yield
        finally:
            _held.reset(token)


def _is_generator(function: Callable[..., Any]) -> bool:
    """Return whether an endpoint yields its values."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests at once, and for how long.

    Attributes:
        at_once: requests that are worked on at the same time.
        start: seconds that a request may wait for its turn.
        run: seconds that a request may take once it is its turn.
    """

    at_once: int = 1
    start: float | None = None
    run: float | None = None


class Invoker:
    """Calls endpoints one after the other, or as many at once as the app allows.

    A place is taken until the code has really ended: a sync endpoint that nobody waits for any
    more still holds it.

    Args:
        limits: see Limits.
        condemn: called when sync code goes on after its time is over.
    """

    def __init__(self, limits: Limits, condemn: Callable[[], None]) -> None:
        self._limits = limits
        self._condemn = condemn
        self._places = asyncio.Semaphore(limits.at_once)
        self._threads = anyio.CapacityLimiter(limits.at_once + 64)

    async def call(
        self,
        function: Callable[..., Any],  # Any: the author's own signature
        arguments: Mapping[str, Any],
        *,
        patience: float | None = None,
    ) -> Any:  # noqa: ANN401 - the author's value
        """Call *function*; a generator's values become server-sent events.

        Args:
            function: the endpoint.
            arguments: by name.
            patience: seconds that the caller would wait for its turn.

        Raises:
            DeadlineError: its turn did not come, or it took too long.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._turn(patience))
            if not _is_generator(function):
                return await self._answered(function, arguments)
            answer = await self._streamed(function(**arguments), stack)
            _held.get().push_async_callback(stack.pop_all().aclose)
            return answer

    @asynccontextmanager
    async def _turn(self, patience: float | None) -> AsyncIterator[None]:
        """Wait for a place."""
        seconds = patience if patience is not None else self._limits.start
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            by_user = patience is not None
            raise DeadlineError(seconds or 0, what="did not start", by_user=by_user) from None
        try:
            yield
        finally:
            self._places.release()

    async def _answered(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the author's value
        """Call a function that returns once."""
        if inspect.iscoroutinefunction(function):
            return await self._timed(function(**arguments))
        with self._watched():
            return await self._in_thread(lambda: function(**arguments))

    async def _timed(self, work: Any) -> Any:  # noqa: ANN401 - the author's value
        """Await async code; it is cancelled when its time is over."""
        seconds = self._limits.run
        try:
            async with asyncio.timeout(seconds) as timer:
                return await work
        except TimeoutError:
            if not timer.expired():
                raise
            raise DeadlineError(seconds or 0, what="did not finish", by_user=False) from None

    async def _in_thread(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - the author's value
        """Call sync code in a thread; the place is held until it returns."""
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    def _watched(self) -> "_Watchdog":
        """Condemn the runner when sync code overstays: nothing else stops it."""
        return _Watchdog(self._limits.run, self._condemn)

    async def _streamed(self, values: Any, stack: AsyncExitStack) -> Response:  # noqa: ANN401 - a generator
        """Answer with server-sent events; the first value is waited for, so that errors are."""
        iterator = values if inspect.isasyncgen(values) else self._stepped(values)
        stack.push_async_callback(iterator.aclose)
        first = await anext(iterator, _END)
        return StreamingResponse(_events(first, iterator), media_type="text/event-stream")

    async def _stepped(self, values: Iterator[Any]) -> AsyncGenerator[Any, None]:  # Any: author's
        """Take a sync generator's values in a thread, one after the other."""
        while (value := await self._in_thread(lambda: next(values, _END))) is not _END:
            yield value


class _Watchdog:
    """Fires once when the block it guards takes too long."""

    def __init__(self, seconds: float | None, fire: Callable[[], None]) -> None:
        self._seconds = seconds
        self._fire = fire
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._fire)

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def _events(
    first: Any,  # noqa: ANN401 - the author's value
    rest: AsyncIterator[Any],
) -> AsyncIterator[bytes]:
    """Write each value as one `data:` line of JSON; no sentinel at the end."""
    value = first
    while value is not _END:
        yield b"data: " + to_json(value, serialize_unknown=False) + b"\n\n"
        value = await anext(rest, _END)
