"""create_cdn: the CDN as an ASGI app."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from towpath.cdn.headers import ALWAYS
from towpath.cdn.serve import FileEndpoint
from towpath.clock import Clock, system_clock
from towpath.storage.file_store import FileStore

__all__ = ["create_cdn"]


def create_cdn(store: FileStore, clock: Clock = system_clock) -> Starlette:
    """Return the app that serves `GET`, `HEAD` and `OPTIONS /files/{id}/{name}`.

    Args:
        store: where the files are.
        clock: the wall clock.
    """
    serve = FileEndpoint(store, clock)
    methods = ["GET", "HEAD", "OPTIONS"]
    app = Starlette(
        routes=[
            Route("/files/{file_id}", serve.__call__, methods=methods),
            Route("/files/{file_id}/{name:path}", serve.__call__, methods=methods),
        ],
        exception_handlers={404: _not_found, 405: _not_allowed, 500: _failed},
    )
    app.router.redirect_slashes = False  # a redirect would repeat the caller's Host
    return app


async def _not_found(_: Request, __: Exception) -> Response:
    return JSONResponse({"detail": "There is no such file here."}, 404, ALWAYS)


async def _not_allowed(_: Request, __: Exception) -> Response:
    return JSONResponse({"detail": "Method Not Allowed"}, 405, {**ALWAYS, "allow": "GET, HEAD"})


async def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"detail": "Internal Server Error"}, 500, ALWAYS)
