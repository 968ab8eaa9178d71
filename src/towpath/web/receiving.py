"""Receive a request within limits, and stop working on it when its caller has gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.errors import BodyTimeoutError, BodyTooLargeError, RequestError
from towpath.web.errors import problem_of
from towpath.web.untold import note_untold
from towpath.web.zero_copy import ARRIVED, GONE

__all__ = ["Leave", "RequestGuard", "refuse"]

log = logging.getLogger(__name__)

Leave = Callable[[Scope, "asyncio.Future[None]"], Coroutine[None, None, None]]
"""Takes a request's scope and its work; returns when the work is over."""

_BODY = "http.response.body"
_LINGER_SECONDS = 2.0
_FIRST_SECONDS = 30.0
_SLOWEST = 16 * 1024  # bytes a second, once the first seconds are over


class RequestGuard:
    """ASGI middleware: caps the body, bounds its slowness, cancels work nobody waits for.

    Args:
        app: what is guarded.
        limit: bytes that a body may have.
        clock: seconds that only go forward.
        fix: what a caller can do whose body is larger.
        leave: ends the work of a caller who has gone; it is cancelled by default.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        clock: Callable[[], float] | None = None,
        fix: str | None = None,
        leave: "Leave | None" = None,
    ) -> None:
        self._app = app
        self._leave = leave or _cancel
        self._too_large = partial(BodyTooLargeError, limit=limit, fix=fix)
        self._limit = limit
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _declared(scope)
        if declared is not None and declared > self._limit:
            await refuse(scope, receive, send, self._too_large(size=declared))
            return
        exchange = _Exchange(self._app, self._limit, self._clock, self._too_large)
        await exchange.run(scope, receive, send, self._leave)


class _Exchange:
    """One guarded request."""

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        clock: Callable[[], float] | None,
        too_large: Callable[[], BodyTooLargeError],
    ) -> None:
        self._app = app
        self._limit = limit
        self._too_large = too_large
        self._clock = clock or asyncio.get_running_loop().time
        self._got = 0
        self._waited = 0.0
        self._done = asyncio.Event()
        self._empty: Message | None = None
        self._started = False
        self._refused = False
        self._finished = False
        self._has_arrived: Callable[[], bool] = _unknown

    async def run(self, scope: Scope, receive: Receive, send: Send, leave: "Leave") -> None:
        """Run the app; drop it when the caller disconnects."""

        async def noted_send(message: Message) -> None:
            await self._send(message, receive, send)

        async def limited_receive() -> Message:
            return await self._receive(receive)

        extensions = scope.get("extensions", {})
        gone, self._has_arrived = extensions.get(GONE), extensions.get(ARRIVED, _unknown)
        if gone is not None:
            here = self._app(scope, limited_receive, noted_send)
            guarded = self._work(here, partial(refuse, scope, receive, send))
            await _run_here(guarded, gone, partial(leave, scope))
            return
        if not _has_body(scope):  # so that the caller's leaving is noticed from the start on
            self._empty = await receive()
            self._done.set()
        app = self._app(scope, limited_receive, noted_send)
        work = asyncio.ensure_future(self._work(app, partial(refuse, scope, receive, send)))
        watch = asyncio.ensure_future(self._until_gone(receive))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await leave(scope, work)
        finally:
            await _stopped(watch)
            if not work.done():
                await _stopped(work)
        if not work.cancelled():
            work.result()

    async def _send(self, message: Message, receive: Receive, send: Send) -> None:
        """Pass an answer on; one that refuses the rest of the body closes the connection."""
        if message["type"] == "http.response.start":
            self._started = True
            if self._refused:
                MutableHeaders(scope=message)["connection"] = "close"
        self._finished = message["type"] == _BODY and not message.get("more_body", False)
        if self._finished and self._refused:
            await _lingered(message, receive, send)
        else:
            await send(message)

    async def _work(
        self, app: Awaitable[None], answer: Callable[[RequestError], Awaitable[None]]
    ) -> None:
        """Run the app, and answer what the guard itself refuses.

        Frameworks raise an error again after they have answered it. That would close a connection
        that its other end takes for good, and fail the request that comes over it next.
        """
        try:
            await app
        except RequestError as refusal:
            if self._started:
                raise
            await answer(refusal)
        except Exception:
            if not self._finished:
                raise
            log.debug("an error was answered and raised again", exc_info=True)

    async def _receive(self, receive: Receive) -> Message:
        """Receive one message, within the limits."""
        if self._empty is not None:
            message, self._empty = self._empty, None
            return message
        if self._done.is_set():
            await asyncio.Event().wait()  # the watcher owns the connection from here on
        message = await (receive() if self._has_arrived() else self._in_time(receive))
        self._got += len(message.get("body", b""))
        if self._got > self._limit:
            self._refused = True
            raise self._too_large()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._done.set()
        return message

    async def _in_time(self, receive: Receive) -> Message:
        """Wait for a message as long as the body may still take."""
        began = self._clock()
        left = _FIRST_SECONDS + self._got / _SLOWEST - self._waited
        try:
            async with asyncio.timeout(max(left, 0.01)):
                message = await receive()
        except TimeoutError:
            self._refused = True
            raise BodyTimeoutError(self._got) from None
        self._waited += self._clock() - began
        return message

    async def _until_gone(self, receive: Receive) -> None:
        """Return when the caller has gone, after the whole body was received."""
        await self._done.wait()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return


async def _run_here(
    work: Awaitable[None],
    gone: Callable[[Callable[[], None]], Callable[[], None]],
    leave: Callable[["asyncio.Future[None]"], Coroutine[None, None, None]],
) -> None:
    """Run *work* in this task; *leave* ends it when *gone* says that its caller has gone."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    leaving: list[asyncio.Task[None]] = []

    def hung_up() -> None:
        leaving.append(asyncio.create_task(leave(task)))

    take_back = gone(hung_up)
    try:
        await work
    except asyncio.CancelledError:
        if not leaving:
            raise
    finally:
        take_back()


def _unknown() -> bool:
    """Return that nobody knows whether something of a request is here."""
    return False


def _has_body(scope: Scope) -> bool:
    """Return whether the head says that a body follows."""
    return any(n in {b"content-length", b"transfer-encoding"} for n, _ in scope["headers"])


def _declared(scope: Scope) -> int | None:
    """Return the declared length of the body."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


async def refuse(scope: Scope, receive: Receive, send: Send, error: RequestError) -> None:
    """Answer with an error and close, because the rest of the body is not read."""

    async def lingering(message: Message) -> None:
        if message["type"] == _BODY:
            await _lingered(message, receive, send)
        else:
            await send(message)

    note_untold(error)
    problem = problem_of(error)
    headers = {**problem.headers, "connection": "close"}
    await JSONResponse(dict(problem.body), problem.status, headers)(scope, receive, lingering)


async def _lingered(message: Message, receive: Receive, send: Send) -> None:
    """Send the end of an answer to a caller who is still sending, and give it time to see that.

    A socket that is closed with unread bytes in it is reset, and the answer may be lost (RFC 9112
    section 9.6).
    """
    await send({**message, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": _BODY, "body": b""})


async def _cancel(_: Scope, work: "asyncio.Future[None]") -> None:
    """Cancel work that nobody waits for."""
    await _stopped(work)


async def _stopped(task: "asyncio.Future[None]") -> None:
    """Cancel a task and wait until it is over."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await cast("asyncio.Task[None]", task)
