"""Websockets of endpoints, passed through both ways.

A websocket waits for its turn like a request, because only a runner with a free place can open it.
Open, it gives that place back and has one of its own: a caller who says nothing would keep others
from the runner otherwise. Ping and pong count for nothing: they show that the other end is there,
not that it has something to say.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from towpath.engine.local import LocalEngine
from towpath.errors import (
    RunnerUnreachableError,
    TowpathError,
    UnknownEndpointError,
    WebsocketRefusedError,
    WebsocketsFullError,
)
from towpath.gateway.answers import error_answer
from towpath.gateway.run_routes import Leased, Target, spec_of
from towpath.net.upstream import DeniedError, Socket, SocketKind, UpstreamError
from towpath.runner.wire import AppSpec

__all__ = ["pass_websocket"]

_DONE = 1000
_INTERNAL = 1011
_TRY_LATER = 1013
_NOT_FOUND = 404
_LONGEST_REASON = 120  # of a close frame, in bytes (RFC 6455 5.5)
_MOST_BYTES = 2**20
_HANDSHAKE = frozenset({"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"})


async def pass_websocket(caller: WebSocket, engine: LocalEngine) -> None:
    """Connect *caller* with its app's runner until one of them hangs up, or is idle too long."""
    target = Target(caller.scope)
    try:
        spec = await spec_of(caller.scope, engine)
        async with AsyncExitStack() as stack:
            runner = await _while_there(caller, _opened(target, spec, engine, stack=stack))
            await caller.accept()
            await _pass_both(caller, runner, spec.websocket_idle_timeout)
    except _LeftError:
        return
    except WebsocketsFullError as full:
        await caller.accept()  # whose close code can be seen by pages too
        await caller.close(_TRY_LATER, full.told[:_LONGEST_REASON])
    except TowpathError as error:
        await _refuse(caller, error)
    except DeniedError as error:
        await _refuse(caller, _reason(error, target, spec))
    except UpstreamError:
        await _refuse(caller, RunnerUnreachableError(target.app))


async def _refuse(caller: WebSocket, error: TowpathError) -> None:
    """Answer with an error, as a request would be; end the websocket if it is open already."""
    if caller.application_state is WebSocketState.CONNECTING:
        await error_answer(error)(caller.scope, caller.receive, caller.send)
        return
    with suppress(RuntimeError):
        await caller.close(_INTERNAL, error.told[:_LONGEST_REASON])


def _reason(error: DeniedError, target: Target, spec: AppSpec) -> TowpathError:
    """Return why a runner did not take a websocket."""
    if error.status == _NOT_FOUND:
        return UnknownEndpointError(target.endpoint, spec.endpoints)
    return WebsocketRefusedError(target.app)


class _LeftError(Exception):
    """The caller has left before its websocket was open."""


async def _opened(
    target: Target, spec: AppSpec, engine: LocalEngine, *, stack: AsyncExitStack
) -> Socket:
    """Wait for a place, and open a websocket to its runner; *stack* closes both.

    Raises:
        WebsocketsFullError: the runner has as many as it may.
    """
    lease = await stack.enter_async_context(Leased(engine, target))
    if not lease.stay(target.request_id, spec.max_websockets):
        raise WebsocketsFullError(target.app, spec.max_websockets)
    lease.begin(target.request_id)
    headers = [pair for pair in target.upstream_headers() if pair[0] not in _HANDSHAKE]
    opening = lease.upstream.socket(target.path, headers, most_bytes=_MOST_BYTES)
    return await stack.enter_async_context(opening)


async def _while_there(caller: WebSocket, opening: Coroutine[None, None, Socket]) -> Socket:
    """Wait for the runner as long as the caller does.

    A caller who has left would keep its turn otherwise, and callers who come and go at once could
    fill the line of an app that is at work.

    Raises:
        _LeftError: the caller has left, or sends before it may (RFC 6455 4.1).
    """
    await caller.receive()  # the request for the websocket itself
    work, leaving = asyncio.ensure_future(opening), asyncio.ensure_future(caller.receive())
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        has_left = not work.done()
        if has_left:
            work.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)
    if has_left or not leaving.cancelled():
        raise _LeftError
    return work.result()


async def _pass_both(caller: WebSocket, runner: Socket, idle_timeout: float | None) -> None:
    """Pass messages until one direction ends, or none has come for a while."""
    watch = _Watch(idle_timeout)
    tasks = [
        asyncio.create_task(_to_runner(caller, runner, watch)),
        asyncio.create_task(_to_caller(caller, runner, watch)),
        asyncio.create_task(watch.until_idle()),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if tasks[-1] in done:
        await runner.close(code=_DONE)
        with suppress(RuntimeError, WebSocketDisconnect):
            await caller.close(_DONE, f"no message for {idle_timeout:g} s")


class _Watch:
    """Knows when the last message was passed on.

    Args:
        seconds: without one, after which a websocket is idle; None is never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def note(self) -> None:
        """Note a message."""
        self._last = self._loop.time()

    async def until_idle(self) -> None:
        """Return when the websocket is idle."""
        if self._seconds is None:
            await asyncio.Event().wait()
            return
        left = self._seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._last + self._seconds - self._loop.time()


async def _to_runner(caller: WebSocket, runner: Socket, watch: _Watch) -> None:
    """Pass on what the caller sends."""
    while True:
        message = await caller.receive()
        watch.note()
        if message["type"] == "websocket.disconnect":
            await runner.close(code=message.get("code") or 1000)
            return
        text, data = message.get("text"), message.get("bytes")
        if text is not None:
            await runner.send_str(text)
        elif data is not None:
            await runner.send_bytes(data)


async def _to_caller(caller: WebSocket, runner: Socket, watch: _Watch) -> None:
    """Pass on what the runner sends."""
    with suppress(WebSocketDisconnect):
        async for message in runner:
            watch.note()
            if message.type is SocketKind.TEXT:
                await caller.send_text(message.data)
            elif message.type is SocketKind.BINARY:
                await caller.send_bytes(message.data)
        code = runner.close_code or 1000
        await caller.close(code if code != 1006 else _INTERNAL)  # noqa: PLR2004 - RFC 6455 7.4.1
