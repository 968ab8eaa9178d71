"""Every request has an id, a log line and a count."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.errors import ServerStoppingError
from towpath.errors.redaction import shown
from towpath.gateway.answers import error_answer
from towpath.gateway.metrics import Metrics
from towpath.runner.wire import REQUEST_ID_HEADER

__all__ = ["RequestTracer", "new_request_id"]

log = logging.getLogger("towpath.requests")

_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}
_ID = REQUEST_ID_HEADER.encode()
_STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
_NONE = 499  # no answer was begun


def new_request_id() -> str:
    """Return a fresh request id: uuid4 with dashes."""
    return str(uuid.uuid4())


class RequestTracer:
    """ASGI middleware: gives each request an id and writes down how it ended.

    Args:
        app: what is traced.
        metrics: where requests are counted.
        new_id: makes ids.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, new_id: Callable[[], str] = new_request_id
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["request_id"] = self._new_id()
        began, status = time.perf_counter(), _NONE

        async def traced_send(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message.get("status", 101)
                named = scope["state"]["request_id"]  # answers about a request bear its id
                headers = [pair for pair in message.get("headers", ()) if pair[0] != _ID]
                message["headers"] = [*headers, (_ID, named.encode())]
            await send(message)

        try:
            await self._app(scope, receive, traced_send)
        except asyncio.CancelledError:  # the server's time to stop in is over
            if status == _NONE and scope["type"] == "http":
                await error_answer(ServerStoppingError())(scope, receive, traced_send)
            raise
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Write the log line and count the request."""
        app = scope["state"].get("app", "")
        self._metrics.note_request(app, status, seconds)
        if not log.isEnabledFor(logging.INFO):
            return
        fields = {
            "request_id": scope["state"]["request_id"],
            "method": scope.get("method", "WEBSOCKET"),
            "path": shown(scope["path"]),
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        log.info("request finished", extra=fields)
