"""Call an endpoint: sync, async or a generator; in its turn, within its time."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from towpath.app.batching import batch_of
from towpath.context import current_request
from towpath.errors import DeadlineError, RequestCancelled, RequestCancelledError
from towpath.runner.batches import Batcher
from towpath.runner.containing import contained
from towpath.runner.interrupts import Doom, Job
from towpath.runner.registry import Registry

__all__ = ["Invoker", "Limits", "holding", "is_generator"]

_END = object()
_Kind = Literal["generator", "batch", "coroutine", "sync"]
_held: ContextVar[list[AsyncExitStack]] = ContextVar("towpath_held")


class holding:  # noqa: N801 - used as a function
    """Give back what a request's answer holds, its place among others, when the request is over."""

    def __init__(self) -> None:
        self._kept: list[AsyncExitStack] = []

    async def __aenter__(self) -> None:
        self._token = _held.set(self._kept)

    async def __aexit__(self, *_: object) -> None:
        _held.reset(self._token)
        for stack in reversed(self._kept):
            await stack.aclose()


def is_generator(function: Callable[..., Any]) -> bool:
    """Return whether an endpoint yields its values."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _kind_of(function: Callable[..., Any]) -> _Kind:
    if is_generator(function):
        return "generator"
    if batch_of(function) is not None:
        return "batch"
    return "coroutine" if inspect.iscoroutinefunction(function) else "sync"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many requests at once, and for how long.

    Attributes:
        at_once: requests that are worked on at the same time.
        start: seconds that a request may wait for its turn.
        run: seconds that a request may take once it is its turn.
        grace: seconds in which code that is told to stop has to.
    """

    at_once: int = 1
    start: float | None = None
    run: float | None = None
    grace: float = 5


class _Threads(ThreadPoolExecutor):
    """Threads whose calls come with their context: `submit` as it is without the runner's patch."""

    submit = ThreadPoolExecutor.submit


class _Turn:
    """A request's place among others: kept until its code has really ended."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release
        self._left = 1

    def keep_for(self, work: "asyncio.Future[Any]") -> None:
        """Keep the place until *work* is over too."""
        self._left += 1
        work.add_done_callback(lambda _: self.leave())

    def leave(self) -> None:
        """Give the place back when nothing keeps it any more."""
        self._left -= 1
        if self._left == 0:
            self._release()


class Invoker:
    """Calls endpoints one after the other, or as many at once as the app allows.

    A place is taken until the code has really ended: a sync endpoint that nobody waits for any
    more is interrupted, and holds its place until it stops; if it does not, the process ends.

    Args:
        limits: see Limits.
        registry: where requests are noted that hold a place.
    """

    def __init__(self, limits: Limits, registry: Registry) -> None:
        self.doom = Doom(limits.grace)
        self._limits = limits
        self._registry = registry
        self._places = asyncio.Semaphore(limits.at_once)
        self._threads = _Threads(limits.at_once + 64, thread_name_prefix="endpoint")
        self._kinds: dict[Callable[..., Any], _Kind] = {}
        self._batchers: dict[Callable[..., Any], Batcher] = {}

    async def call(
        self,
        function: Callable[..., Any],  # Any: the author's own signature
        arguments: Mapping[str, Any],
        *,
        patience: float | None = None,
        is_aside: bool = False,
    ) -> Any:  # noqa: ANN401 - the author's value
        """Call *function*; a generator's values become server-sent events.

        Args:
            function: the endpoint.
            arguments: by name.
            patience: seconds that the caller would wait for its turn.
            is_aside: whether it runs beside the others, without a place.

        Raises:
            DeadlineError: its turn did not come, or it took too long.
        """
        turn = _Turn(lambda: None) if is_aside else await self._turn(patience)
        if self._kind(function) == "generator":
            return await self._stream(function(**arguments), turn)
        try:
            return await self._timed(self._answered(function, arguments, turn))
        finally:
            turn.leave()

    def close(self) -> None:
        """Let go of the threads; those that work go on."""
        self._threads.shutdown(wait=False)

    async def _turn(self, patience: float | None) -> _Turn:
        """Wait for a place."""
        seconds = patience if patience is not None else self._limits.start
        try:
            if self._places.locked():
                async with asyncio.timeout(seconds):
                    await self._places.acquire()
            else:
                await self._places.acquire()
        except TimeoutError:
            by_user = patience is not None
            raise DeadlineError(seconds or 0, what="did not start", by_user=by_user) from None
        request = current_request()
        request_id = request.request_id if request else ""
        self._registry.enter(request_id)

        def release() -> None:
            self._places.release()
            self._registry.leave(request_id)

        return _Turn(release)

    async def _answered(
        self, function: Callable[..., Any], arguments: Mapping[str, Any], turn: _Turn
    ) -> Any:  # noqa: ANN401 - the author's value
        """Call a function that returns once."""
        kind = self._kind(function)
        if kind == "batch":
            return await self._batcher(function).call(arguments)
        if kind == "coroutine":
            try:
                with contained():
                    return await function(**arguments)
            except RequestCancelled:
                raise RequestCancelledError from None
        return await self._in_thread(partial(function, **arguments), turn)

    def _kind(self, function: Callable[..., Any]) -> _Kind:
        """Return how a function answers; it is looked at once, not at each call."""
        found = self._kinds.get(function)
        if found is None:
            found = self._kinds[function] = _kind_of(function)
        return found

    def _batcher(self, function: Callable[..., Any]) -> Batcher:
        """Return what gathers the calls of *function*."""
        found = self._batchers.get(function)
        if found is None:
            spec = batch_of(function)
            assert spec is not None  # noqa: S101 - asked before
            run = partial(self._in_thread, turn=None)
            found = self._batchers[function] = Batcher(function, spec, run)
        return found

    async def _timed(self, work: Any) -> Any:  # noqa: ANN401 - the author's value
        """Await *work*; it is cancelled when its time is over."""
        seconds = self._limits.run
        if seconds is None:
            return await work
        loop, overdue = asyncio.get_running_loop(), object()
        last = loop.call_later(seconds, self.doom.expect, overdue)
        try:
            async with asyncio.timeout(seconds) as timer:
                return await work
        except TimeoutError:
            if not timer.expired():
                raise
            raise DeadlineError(seconds, what="did not finish", by_user=False) from None
        finally:
            last.cancel()
            self.doom.forgive(overdue)

    async def _in_thread(self, call: Callable[[], Any], turn: _Turn | None) -> Any:  # noqa: ANN401 - the author's value
        """Call sync code in a thread; it is interrupted when nobody waits for it any more."""
        job = Job(call)
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, copy_context().run, job.run)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.done():
                if turn is not None:
                    turn.keep_for(work)
                self.doom.expect(work)
                work.add_done_callback(self._ended)
                job.interrupt()
            raise

    def _ended(self, work: "asyncio.Future[Any]") -> None:
        """Note that interrupted code has stopped."""
        self.doom.forgive(work)
        if not work.cancelled():
            work.exception()  # nobody asks for it

    async def _stream(self, values: Any, turn: _Turn) -> Response:  # noqa: ANN401 - a generator
        """Answer with a generator's values; its place is kept until the answer is over."""
        async with AsyncExitStack() as stack:
            stack.callback(turn.leave)
            answer = await self._streamed(values, turn, stack)
            _held.get().append(stack.pop_all())
            return answer

    async def _streamed(self, values: Any, turn: _Turn, stack: AsyncExitStack) -> Response:  # noqa: ANN401 - a generator
        """Answer with server-sent events; the first value is waited for, so that errors are."""
        iterator = values if inspect.isasyncgen(values) else self._stepped(values, turn)
        stack.push_async_callback(iterator.aclose)
        deadline = None if self._limits.run is None else _now() + self._limits.run
        timed = self._until(iterator, deadline)
        stack.push_async_callback(timed.aclose)
        first = await anext(timed, _END)
        return StreamingResponse(_events(first, timed), media_type="text/event-stream")

    async def _until(
        self, values: AsyncIterator[Any], deadline: float | None
    ) -> AsyncGenerator[Any, None]:  # Any: the author's values
        """Yield *values* until their time is over."""
        while True:
            try:
                async with asyncio.timeout_at(deadline) as timer:
                    with contained():
                        value = await anext(values, _END)
            except TimeoutError:
                if not timer.expired():
                    raise
                seconds = self._limits.run or 0
                raise DeadlineError(seconds, what="did not finish", by_user=False) from None
            if value is _END:
                return
            yield value

    async def _stepped(
        self, values: Iterator[Any], turn: _Turn
    ) -> AsyncGenerator[Any, None]:  # Any: author's
        """Take a sync generator's values in a thread, one after the other."""
        context = copy_context()  # one for all steps: a generator may set what it reads later
        step = partial(context.run, next, values, _END)
        while (value := await self._in_thread(step, turn)) is not _END:
            yield value


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _events(
    first: Any,  # noqa: ANN401 - the author's value
    rest: AsyncIterator[Any],
) -> AsyncIterator[bytes]:
    """Write each value as one `data:` line of JSON; no sentinel at the end."""
    value = first
    while value is not _END:
        yield b"data: " + to_json(value, serialize_unknown=False) + b"\n\n"
        value = await anext(rest, _END)
