"""What a runner does when a request's caller has gone."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from starlette.types import ASGIApp, Message, Scope

from towpath.runner.interrupts import Doom
from towpath.web.receiving import Leave

__all__ = ["CANCEL", "leaving"]

CANCEL = "/cancel"
"""Below an endpoint's path: the app's own way to stop it."""
_DROPPED = frozenset({b"content-length", b"content-type", b"transfer-encoding"})


def leaving(
    app: ASGIApp, paths: Collection[str], *, doom: Callable[[], Doom], grace: float
) -> Leave:
    """Return what ends the work of a caller who has gone.

    First the endpoint at `<path>/cancel`, if there is one, is called with the same request id, and
    has half of the grace for its work to end by itself. Then the code is told: tasks are
    cancelled, threads get RequestCancelled. Code that goes on ends with its process.

    Args:
        app: the runner's own.
        paths: of its endpoints.
        doom: returns what watches over code that is told to stop.
        grace: seconds.
    """

    async def leave(scope: Scope, work: "asyncio.Future[None]") -> None:
        hook = f"{scope['path'].rstrip('/')}{CANCEL}"
        if hook in paths:
            with suppress(Exception):  # its own answer says what went wrong
                await asyncio.wait_for(_called(app, scope, hook), grace)
            await asyncio.wait({work}, timeout=grace / 2)
        if work.done():
            return
        watch = doom()
        watch.expect(work)
        work.cancel()
        await asyncio.wait({work})
        watch.forgive(work)

    return leave


def _called(app: ASGIApp, scope: Scope, path: str) -> Awaitable[None]:
    """Call the app's hook as the request's caller would."""
    headers = [pair for pair in scope["headers"] if pair[0] not in _DROPPED]
    asked = {**scope, "path": path, "raw_path": path.encode(), "method": "POST"}
    asked |= {"query_string": b"", "headers": headers, "state": {}, "extensions": {}}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        """Nobody reads the answer."""

    return app(asked, receive, send)
