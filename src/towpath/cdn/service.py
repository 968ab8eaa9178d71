"""create_cdn: the CDN as an ASGI app."""

import logging

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.cdn.headers import ALWAYS
from towpath.cdn.serve import FILE_PATH, FileEndpoint
from towpath.clock import Clock, system_clock
from towpath.errors.redaction import shown
from towpath.net.store_reader import StoreReader
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
    front_prefix: str | None = None,
    reader: StoreReader | None = None,
) -> ASGIApp:
    """Return the app that serves `GET`, `HEAD` and `OPTIONS /files/{id}/{name}`.

    Args:
        store: where the files are.
        clock: the wall clock.
        most_sent: files that are sent at once.
        redirects: whether callers are sent to an object store that hands out URLs of its own.
        front_prefix: what a proxy in front says that sends files itself; None = there is none.
        reader: reads from an object store that hands out URLs of its own; closed with the app's
            lifespan, where it has one.
    """
    reader = reader or StoreReader()
    endpoint = FileEndpoint(
        store, clock, most=most_sent, redirects=redirects, front_prefix=front_prefix, reader=reader
    )
    return _Cdn(endpoint, reader)


class _Cdn:
    """Files, and a plain answer for every other path and for what goes wrong."""

    def __init__(self, files: FileEndpoint, reader: StoreReader) -> None:
        self._files = files
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose by path."""
        if scope["type"] == "lifespan":
            await _live(receive, send, self._reader)
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


async def _live(receive: Receive, send: Send, reader: StoreReader) -> None:
    """Close at the end what was opened on the way."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await reader.close()
    await send({"type": "lifespan.shutdown.complete"})
