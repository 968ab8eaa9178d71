"""create_cdn: the CDN as an ASGI app."""

import logging

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.cdn.headers import ALWAYS
from towpath.cdn.serve import FILE_PATH, FileEndpoint
from towpath.clock import Clock, system_clock
from towpath.errors.redaction import shown
from towpath.storage.file_store import FileStore

__all__ = ["create_cdn"]


log = logging.getLogger(__name__)

_MOST_SENT = 1000


def create_cdn(
    store: FileStore,
    clock: Clock = system_clock,
    *,
    most_sent: int = _MOST_SENT,
    redirects: bool = True,
    has_front: bool = False,
) -> ASGIApp:
    """Return the app that serves `GET`, `HEAD` and `OPTIONS /files/{id}/{name}`.

    Args:
        store: where the files are.
        clock: the wall clock.
        most_sent: files that are sent at once.
        redirects: whether callers are sent to an object store that hands out URLs of its own.
        has_front: whether a proxy in front may be told to send a file itself.
    """
    endpoint = FileEndpoint(store, clock, most=most_sent, redirects=redirects, has_front=has_front)
    return _Cdn(endpoint)


class _Cdn:
    """Files, and a plain answer for every other path and for what goes wrong."""

    def __init__(self, files: FileEndpoint) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose by path."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not FILE_PATH.fullmatch(scope["path"]):
            nothing = JSONResponse({"detail": "There is no such file here."}, 404, ALWAYS)
            await nothing(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._files(scope, receive, noted)
        except Exception:
            if has_begun:  # the connection ends, so that the client sees that it is not all
                raise
            log.exception("a file could not be served", extra={"path": shown(scope["path"])})
            failed = JSONResponse({"detail": "Internal Server Error"}, 500, ALWAYS)
            await failed(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Say that nothing has to be started or stopped."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
