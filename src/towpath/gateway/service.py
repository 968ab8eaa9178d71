"""create_gateway: the parts put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send
from starlette.websockets import WebSocket

from towpath.cdn.retention import keep_swept
from towpath.cdn.service import create_cdn
from towpath.cdn.uploads import UPLOAD_PATH, UploadEndpoint
from towpath.clock import Clock, system_clock
from towpath.concurrency import in_thread
from towpath.engine.local import LocalEngine
from towpath.errors import TowpathError
from towpath.gateway.admin import AdminRoutes
from towpath.gateway.answers import error_answer
from towpath.gateway.desk import QueueDesk
from towpath.gateway.keys import AdminGuard, KeyGuard, allowed_origins
from towpath.gateway.metrics import CONTENT_TYPE, Metrics
from towpath.gateway.playground_routes import PlaygroundRoutes
from towpath.gateway.run_routes import RunEndpoint
from towpath.gateway.tracing import RequestTracer
from towpath.gateway.websockets import pass_websocket
from towpath.net.store_reader import StoreReader
from towpath.queue.store import RequestQueue
from towpath.settings import Settings
from towpath.storage.file_store import FileStore
from towpath.storage.hosting import hosting_of
from towpath.uploads.lifetimes import seconds_of
from towpath.web.connections import Connections
from towpath.web.receiving import RequestGuard

__all__ = ["Parts", "create_file_origin", "create_gateway"]

log = logging.getLogger(__name__)

_ADMIN_BODY = 64 * 1024
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_LOOPBACK_ORIGINS = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
_OWN_WORDS = frozenset(
    {"admin", "apps", "comfy", "files", "health", "kv", "metrics", "playground", "queue"}
    | {"ready", "storage", "tokens", "v1", "workflows", "ws"}
)
_EXPOSED = ["x-fal-request-id", "x-fal-error-type", "x-fal-request-timeout-type"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server is made of.

    Attributes:
        settings: where we are and who may call.
        engine: what runs the apps.
        store: where files are.
        queue: where requests wait.
        worker: this server's name among those that share the queue.
        connections: the book of connections.
    """

    settings: Settings
    engine: LocalEngine
    store: FileStore
    queue: RequestQueue
    worker: str
    connections: Connections


def create_gateway(parts: Parts, clock: Clock = system_clock) -> ASGIApp:
    """Return the whole server as one ASGI app; its lifespan starts and stops the engine.

    Args:
        parts: what it is made of.
        clock: the wall clock.
    """
    settings, store = parts.settings, parts.store
    metrics = Metrics()
    reader = StoreReader()
    desk = QueueDesk(parts.queue, parts.engine, settings, worker=parts.worker)
    api = _Api(parts, desk, metrics, reader).app()
    files = _files(settings, store, clock, reader)
    uploads = _uploads(settings, store)
    admin = _admin(settings, store, desk)
    run = _run(settings, parts.engine)
    split = _Split(files, uploads, admin, run, api)
    return RequestTracer(_Below(split, settings.origin, settings.owner), metrics)


def create_file_origin(
    settings: Settings, store: FileStore, clock: Clock = system_clock
) -> ASGIApp:
    """Return the app of a separate file origin: nothing but `/files/`."""
    files = _files(settings, store, clock, StoreReader())
    return RequestTracer(_Below(files, settings.files_origin, settings.owner), Metrics())


def _files(settings: Settings, store: FileStore, clock: Clock, reader: StoreReader) -> ASGIApp:
    """Return the app that serves files."""
    return create_cdn(
        store,
        clock,
        most_sent=settings.max_file_connections,
        redirects=settings.store_reads == "redirect",
        has_front=bool(settings.trusted_proxies),
        reader=reader,
    )


def _uploads(settings: Settings, store: FileStore) -> ASGIApp:
    """Return the app that takes uploads: guarded as the API, with the limit of a file."""
    lifetime = seconds_of(settings.media_expires_in)
    endpoint = UploadEndpoint(store, hosting_of(settings, owner=settings.owner), lifetime=lifetime)
    route = Route(UPLOAD_PATH, endpoint.__call__, methods=["POST"])
    return _guarded(
        settings, [route], limit=settings.max_upload_bytes, fix="Raise TOWPATH_MAX_UPLOAD_BYTES."
    )


def _run(settings: Settings, engine: LocalEngine) -> ASGIApp:
    """Return the app of direct calls; without the layers that only browsers and forms need."""
    guarded = RequestGuard(RunEndpoint(engine), limit=settings.max_body_bytes)
    return _ForBrowsers(KeyGuard(guarded, settings), settings)


class _ForBrowsers:
    """ASGI middleware: CORS for calls that have an origin; others go straight on."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._with_cors = CORSMiddleware(app, **_cors(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        from_page = any(name == b"origin" for name, _ in scope["headers"])
        await (self._with_cors if from_page else self._app)(scope, receive, send)


def _cors(settings: Settings) -> dict[str, Any]:  # Any: keyword arguments
    """Return which pages may call, and what they see."""
    origins = allowed_origins(settings)
    return {
        "allow_origins": origins,
        "allow_origin_regex": None if origins else _LOOPBACK_ORIGINS,
        "allow_methods": _METHODS,
        "allow_headers": ["*"],
        "expose_headers": _EXPOSED,
    }


def _admin(settings: Settings, store: FileStore, desk: QueueDesk) -> ASGIApp:
    """Return the app of the operator's routes."""
    routes = AdminRoutes(store, hosting_of(settings, owner=settings.owner)).routes()
    routes += desk.admin_routes(store)
    return _guarded(settings, routes, limit=_ADMIN_BODY, guard=AdminGuard)


def _guarded(
    settings: Settings,
    routes: Sequence[BaseRoute],
    *,
    limit: int,
    fix: str | None = None,
    guard: type[KeyGuard | AdminGuard] = KeyGuard,
    lifespan: Lifespan[Starlette] | None = None,
) -> Starlette:
    """Return an app with its middleware, the outermost first."""
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(CORSMiddleware, **_cors(settings)),
            Middleware(guard, settings),
            Middleware(RequestGuard, limit=limit, fix=fix),
        ],
        exception_handlers={TowpathError: _ours, HTTPException: _http, Exception: _unknown},
    )
    app.router.redirect_slashes = False  # a redirect would repeat the caller's Host
    return app


class _Below:
    """ASGI middleware: takes the public URL's own path away where a proxy has left it.

    Args:
        app: what expects to be at the root.
        origin: the public URL.
        owner: of the apps; a path that begins with it, or with one of our own words, could be
            that of a call, and is left alone.
    """

    def __init__(self, app: ASGIApp, origin: str, owner: str) -> None:
        self._app = app
        prefix = urlsplit(origin).path.rstrip("/")
        first = prefix[1:].partition("/")[0]
        self._prefix = "" if first == owner or first in _OWN_WORDS else prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._prefix and scope["type"] != "lifespan":
            path: str = scope["path"]
            if path.startswith(f"{self._prefix}/"):
                raw = (scope.get("raw_path") or path.encode())[len(quote(self._prefix)) :]
                scope = {**scope, "path": path[len(self._prefix) :], "raw_path": raw}
        await self._app(scope, receive, send)


class _Split:
    """Chooses by path: the CDN, the operator's routes, calls of apps, the rest of the API."""

    def __init__(
        self, cdn: ASGIApp, uploads: ASGIApp, admin: ASGIApp, run: ASGIApp, api: ASGIApp
    ) -> None:
        self._cdn = cdn
        self._uploads = uploads
        self._admin = admin
        self._run = run
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Choose by path."""
        app = self._api
        if scope["type"] == "http":
            path = _by_host(scope)
            if path.startswith("/files/"):
                app = self._uploads if path == UPLOAD_PATH else self._cdn
            elif path.startswith("/admin/"):
                app = self._admin
            elif _is_call(path):
                app = self._run
        await app(scope, receive, send)


def _is_call(path: str) -> bool:
    """Return whether a path is an app's: `/owner/app`, and the owner none of our own words."""
    owner, _, app = path[1:].partition("/")
    return bool(app) and not app.startswith("/") and owner not in _OWN_WORDS


def _by_host(scope: Scope) -> str:
    """Return the path; one at a host named `queue.…` is below `/queue`.

    Clients have one host for each service.
    """
    path: str = scope["path"]
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if host.startswith(b"queue.") and not path.startswith("/queue/"):
        path = scope["path"] = f"/queue{path}"
        scope["raw_path"] = b"/queue" + (scope.get("raw_path") or b"")
    return path


class _Api:
    """The routes of the API."""

    def __init__(
        self, parts: Parts, desk: QueueDesk, metrics: Metrics, reader: StoreReader
    ) -> None:
        self._settings = parts.settings
        self._engine = parts.engine
        self._store = parts.store
        self._connections = parts.connections
        self._desk = desk
        self._metrics = metrics
        self._reader = reader

    def app(self) -> Starlette:
        """Return the app with its middleware, the outermost first."""
        return _guarded(
            self._settings,
            self._routes(),
            limit=self._settings.max_body_bytes,
            lifespan=self._lifespan,
        )

    def _routes(self) -> list[BaseRoute]:
        """Return the routes; an app's own come last."""
        return [
            *self._desk.routes(),
            *PlaygroundRoutes(self._settings, self._engine).routes(),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._exposition),
            WebSocketRoute("/{owner}/{app}", self._socket),
            WebSocketRoute("/{owner}/{app}/{path:path}", self._socket),
        ]

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Start the engine and the sweeper; stop them."""
        await in_thread(self._store.lay_out)()
        await self._engine.start()
        await self._desk.start()
        sweeper = asyncio.create_task(keep_swept(self._store), name="sweeper")
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await self._desk.stop()
            await self._engine.stop()
            await self._reader.close()

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": version("towpath")})

    async def _ready(self, _: Request) -> Response:
        owner = self._settings.owner
        apps = {f"{owner}/{name}": state for name, state in self._engine.states().items()}
        ready = all(state == "ready" for state in apps.values())
        status = "ready" if ready else "starting"
        return JSONResponse({"status": status, "apps": apps}, 200 if ready else 503)

    async def _exposition(self, _: Request) -> Response:
        self._metrics.note_apps(self._engine.statuses())
        self._metrics.note_queue(await self._desk.waiting())
        self._metrics.note_connections(self._connections.counts)
        self._metrics.note_files(*await in_thread(self._store.totals)())
        return Response(self._metrics.exposition(), media_type=CONTENT_TYPE)

    async def _socket(self, caller: WebSocket) -> None:
        await pass_websocket(caller, self._engine)


async def _ours(_: Request, error: Exception) -> Response:
    return error_answer(error)


async def _http(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 404:  # noqa: PLR2004
        detail = f"Path {request.url.path[:100]} not found"
        return JSONResponse({"detail": detail}, 404, {"x-fal-billable-units": "0"})
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal Server Error"
    return JSONResponse({"detail": detail}, status)


async def _unknown(request: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error, extra={"path": request.url.path[:200]})
    return error_answer(error)
