"""Requests and websockets in the book of connections."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, Protocol, cast

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from typing_extensions import override
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from towpath.errors import RequestError
from towpath.web.connections import Connections
from towpath.web.errors import problem_of

__all__ = ["PEER", "ByProxy", "HardenedSocket", "plain_answer", "refusing"]

PEER = "towpath.peer"
"""Among a scope's extensions: the other end of its connection, whoever that speaks for."""


class _Booked(Protocol):
    """A configuration with the book."""

    connections: Connections


class HardenedSocket(WebSocketsSansIOProtocol):
    """uvicorn's websockets; each is in the book of connections, and at work until it ends."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._book = cast("_Booked", self.config).connections
        self._book.arrive(self, self.client[0] if self.client else None)
        self._book.begin(self)

    @override
    def data_received(self, data: bytes) -> None:
        """Take what came; at first that is the whole head, which uvicorn forgets if it is wrong."""
        super().data_received(data)
        if not self.handshake_initiated and not self.transport.is_closing():
            reason = f"The request for a websocket cannot be read: {self.conn.handshake_exc}."
            self.transport.write(plain_answer(400, reason))
            self.transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._book.leave(self)
        super().connection_lost(exc)

    @override
    def handle_ping(self) -> None:
        """Answer a ping, as long as the caller takes answers.

        Nothing else would end the growth of what waits for a caller who pings and does not read.
        Of several pings the last may be the only one that is answered (RFC 6455 5.5.3).
        """
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # the answer, which is dropped

    @override
    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent:  # by an answer of HTTP too, which uvicorn forgets to count
            self.handshake_complete = True

    @override
    async def run_asgi(self) -> None:
        cast("Scope", self.scope)["extensions"][PEER] = self.client
        await super().run_asgi()

    def dismiss(self) -> None:
        """Hang up."""
        self.transport.abort()


class ByProxy:
    """ASGI middleware: counts requests that came through a proxy for the client that it names.

    Args:
        app: what answers.
        connections: the book.
    """

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app = app
        self._book = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        client = self._client(scope)
        if client is None:
            await self._app(scope, receive, send)
            return
        refusal = self._book.begin_of(client)
        if refusal is not None:
            await _refused(refusal, scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._book.end_of(client)

    def _client(self, scope: Scope) -> str | None:
        """Return whom a request is from, where a proxy has said so."""
        client, peer = scope.get("client"), scope.get("extensions", {}).get(PEER)
        return None if client is None or client == peer else self._book.identify(client[0])


def plain_answer(status: int, detail: str) -> bytes:
    """Return an answer in the shape of every error, for who has no app to ask; hang up after it."""
    body = json.dumps({"detail": detail}).encode()
    lines = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + body


def refusing(error: RequestError) -> ASGIApp:
    """Return an app that answers every request with *error*, and closes the connection."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await _refused(error, scope, receive, send)

    return refuse


async def _refused(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with an error, and close the connection."""
    problem = problem_of(error)
    headers = {**problem.headers, "connection": "close"}
    answer = JSONResponse(dict(problem.body), problem.status, headers)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
    else:
        await answer(scope, receive, send)
