"""Websockets of endpoints, passed through both ways."""

import asyncio
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from towpath.engine.local import LocalEngine
from towpath.errors import TowpathError
from towpath.gateway.run_routes import Target, spec_of
from towpath.net.upstream import Socket, SocketKind, UpstreamError

__all__ = ["pass_websocket"]

_INTERNAL = 1011
_UNKNOWN = 1008
_MOST_BYTES = 2**20
_HANDSHAKE = frozenset({"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"})


async def pass_websocket(caller: WebSocket, engine: LocalEngine) -> None:
    """Connect *caller* with its app's runner until one of them hangs up."""
    try:
        await spec_of(caller.scope, engine)
        target = Target(caller.scope)
        headers = [pair for pair in target.upstream_headers() if pair[0] not in _HANDSHAKE]
        hint = target.headers.get("x-fal-runner-hint")
        async with engine.acquire(target.app, hint=hint) as lease:
            lease.begin(target.request_id)
            async with lease.upstream.socket(
                target.path, headers, most_bytes=_MOST_BYTES
            ) as runner:
                await caller.accept()
                await _pass_both(caller, runner)
    except TowpathError as error:
        await caller.close(_UNKNOWN, str(error)[:120])
    except UpstreamError:
        with suppress(RuntimeError):
            await caller.close(_INTERNAL, "the app's runner does not answer")


async def _pass_both(caller: WebSocket, runner: Socket) -> None:
    """Pass messages until one direction ends."""
    tasks = [
        asyncio.create_task(_to_runner(caller, runner)),
        asyncio.create_task(_to_caller(caller, runner)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _to_runner(caller: WebSocket, runner: Socket) -> None:
    """Pass on what the caller sends."""
    while True:
        message = await caller.receive()
        if message["type"] == "websocket.disconnect":
            await runner.close(code=message.get("code") or 1000)
            return
        text, data = message.get("text"), message.get("bytes")
        if text is not None:
            await runner.send_str(text)
        elif data is not None:
            await runner.send_bytes(data)


async def _to_caller(caller: WebSocket, runner: Socket) -> None:
    """Pass on what the runner sends."""
    with suppress(WebSocketDisconnect):
        async for message in runner:
            if message.type is SocketKind.TEXT:
                await caller.send_text(message.data)
            elif message.type is SocketKind.BINARY:
                await caller.send_bytes(message.data)
        code = runner.close_code or 1000
        await caller.close(code if code != 1006 else _INTERNAL)  # noqa: PLR2004 - RFC 6455 7.4.1
