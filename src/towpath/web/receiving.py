"""Receive a request within limits, and stop working on it when its caller has gone."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.errors import BodyTimeoutError, BodyTooLargeError, RequestError
from towpath.web.errors import problem_of

__all__ = ["RequestGuard"]

log = logging.getLogger(__name__)

_BODY = "http.response.body"
_FIRST_SECONDS = 30.0
_SLOWEST = 16 * 1024  # bytes a second, once the first seconds are over


class RequestGuard:
    """ASGI middleware: caps the body, bounds its slowness, cancels work nobody waits for.

    Args:
        app: what is guarded.
        limit: bytes that a body may have.
        clock: seconds that only go forward.
        fix: what a caller can do whose body is larger.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        clock: Callable[[], float] | None = None,
        fix: str | None = None,
    ) -> None:
        self._app = app
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
            await _refuse(self._too_large(size=declared), scope, receive, send)
            return
        exchange = _Exchange(self._app, self._limit, self._clock, self._too_large)
        await exchange.run(scope, receive, send)


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

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; drop it when the caller disconnects."""

        async def noted_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._started = True
                if self._refused:  # the rest of the body is not read
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)
            self._finished = message["type"] == _BODY and not message.get("more_body", False)

        async def limited_receive() -> Message:
            return await self._receive(receive)

        if not _has_body(scope):  # so that the caller's leaving is noticed from the start on
            self._empty = await receive()
            self._done.set()
        work = asyncio.ensure_future(self._work(scope, limited_receive, noted_send, send))
        watch = asyncio.ensure_future(self._until_gone(receive))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _stopped(watch)
            if not work.done():
                await _stopped(work)
        if not work.cancelled():
            work.result()

    async def _work(self, scope: Scope, receive: Receive, noted: Send, send: Send) -> None:
        """Run the app, and answer what the guard itself refuses.

        Frameworks raise an error again after they have answered it. That would close a connection
        that its other end takes for good, and fail the request that comes over it next.
        """
        try:
            await self._app(scope, receive, noted)
        except RequestError as refusal:
            if self._started:
                raise
            await _refuse(refusal, scope, receive, send)
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
        began = self._clock()
        left = _FIRST_SECONDS + self._got / _SLOWEST - self._waited
        try:
            message = await asyncio.wait_for(receive(), max(left, 0.01))
        except TimeoutError:
            self._refused = True
            raise BodyTimeoutError(self._got) from None
        self._waited += self._clock() - began
        self._got += len(message.get("body", b""))
        if self._got > self._limit:
            self._refused = True
            raise self._too_large()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._done.set()
        return message

    async def _until_gone(self, receive: Receive) -> None:
        """Return when the caller has gone, after the whole body was received."""
        await self._done.wait()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return


def _has_body(scope: Scope) -> bool:
    """Return whether the head says that a body follows."""
    return any(n in {b"content-length", b"transfer-encoding"} for n, _ in scope["headers"])


def _declared(scope: Scope) -> int | None:
    """Return the declared length of the body."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


async def _refuse(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with an error and close, because the rest of the body is not read."""
    problem = problem_of(error)
    headers = {**problem.headers, "connection": "close"}
    await JSONResponse(dict(problem.body), problem.status, headers)(scope, receive, send)


async def _stopped(task: "asyncio.Future[None]") -> None:
    """Cancel a task and wait until it is over."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await cast("asyncio.Task[None]", task)
