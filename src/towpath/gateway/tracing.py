"""Every request has an id, a log line and a count."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.errors import ServerStoppingError
from towpath.errors.redaction import shown
from towpath.gateway.answers import error_answer
from towpath.gateway.metrics import Metrics
from towpath.runner.wire import REQUEST_ID_HEADER

__all__ = ["RequestTracer", "new_request_id"]

log = logging.getLogger("towpath.requests")

_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
_BAD = 400
_NONE = 499  # no answer was begun
_ID = REQUEST_ID_HEADER.encode()
_ERROR_TYPE = b"x-fal-error-type"


@dataclass(slots=True)
class _Answer:
    """What is written down of an answer.

    Attributes:
        status: 499 where the caller left before there was one.
        sent: bytes of its body.
        error: its error type.
    """

    status: int = _NONE
    sent: int = 0
    error: str = ""

    def note_start(self, message: Message, request_id: str) -> None:
        """Take the head of an answer, and give it the request's id."""
        self.status = message.get("status", 101)
        headers = [pair for pair in message.get("headers", ()) if pair[0] != _ID]
        if self.status >= _BAD:
            named = {name.lower(): value for name, value in headers}
            self.error = shown(named.get(_ERROR_TYPE, b"").decode("latin-1"), 40)
        message["headers"] = [*headers, (_ID, request_id.encode())]

    def note_part(self, message: Message) -> None:
        """Count a part of the body: bytes, or what the kernel sends of a file or a store."""
        self.sent += len(message.get("body", b"")) or message.get("count") or 0
        source = message.get("source")
        if source is not None:
            self.sent += len(source.begun) + source.left


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
        began, answer = time.perf_counter(), _Answer()

        async def traced_send(message: Message) -> None:
            if message["type"] in _STARTS:
                # answers about a queued request bear its id
                answer.note_start(message, scope["state"]["request_id"])
            else:
                answer.note_part(message)
            await send(message)

        try:
            await self._app(scope, receive, traced_send)
        except asyncio.CancelledError:  # the server's time to stop in is over
            if answer.status == _NONE and scope["type"] == "http":
                await error_answer(ServerStoppingError())(scope, receive, traced_send)
            raise
        finally:
            self._note(scope, answer, time.perf_counter() - began)

    def _note(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        """Write the log line and count the request."""
        app = scope["state"].get("app", "")
        self._metrics.note_request(app, answer.status, seconds)
        if not log.isEnabledFor(logging.INFO):
            return
        fields = {
            "request_id": scope["state"]["request_id"],
            "address": (scope.get("client") or ("",))[0],
            "key": scope["state"].get("caller", ""),
            "method": scope.get("method", "WEBSOCKET"),
            "path": shown(scope["path"]),
            "status": answer.status,
            "bytes": answer.sent,
            "ms": round(seconds * 1000, 1),
            "error_type": answer.error,
        }
        log.info("request finished", extra=fields)
