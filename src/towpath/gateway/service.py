"""create_gateway: the parts put together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send
from starlette.websockets import WebSocket

from towpath.cdn.retention import keep_swept
from towpath.cdn.service import create_cdn
from towpath.cdn.uploads import UPLOAD_PATH, UploadEndpoint
from towpath.clock import Clock, system_clock
from towpath.concurrency import in_thread
from towpath.engine.local import LocalEngine
from towpath.errors import TowpathError
from towpath.gateway.addresses import Service, prefix_of
from towpath.gateway.admin import AdminRoutes
from towpath.gateway.answers import error_answer
from towpath.gateway.bodies import Bodies
from towpath.gateway.desk import QueueDesk
from towpath.gateway.entrance import Entrance, address_of
from towpath.gateway.hosts import host_judge
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
    bodies = Bodies(settings.state / "bodies", settings.store_reserve)
    desk = QueueDesk(parts.queue, parts.engine, settings, worker=parts.worker, bodies=bodies)
    api = _Api(parts, desk, metrics, reader).app()
    files = _files(settings, store, clock, reader)
    uploads = _uploads(settings, store)
    admin = _admin(settings, store, desk)
    run = _run(settings, parts.engine, bodies)
    services: dict[Service, ASGIApp] = {
        "files": files,
        "upload": uploads,
        "admin": admin,
        "call": run,
    }
    prefix = prefix_of(settings.origin, settings.owner)
    judge = host_judge(settings)
    return RequestTracer(Entrance(services, api, prefix=prefix, judge=judge), metrics)


def create_file_origin(
    settings: Settings, store: FileStore, clock: Clock = system_clock
) -> ASGIApp:
    """Return the app of a separate file origin: nothing but `/files/`."""
    files = _files(settings, store, clock, StoreReader())
    prefix = prefix_of(settings.files_origin, settings.owner)
    entrance = Entrance({}, files, prefix=prefix, judge=host_judge(settings))
    return RequestTracer(entrance, Metrics())


def _files(settings: Settings, store: FileStore, clock: Clock, reader: StoreReader) -> ASGIApp:
    """Return the app that serves files."""
    return create_cdn(
        store,
        clock,
        most_sent=settings.max_file_connections,
        redirects=settings.store_reads == "redirect",
        front_prefix=settings.front_prefix,
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


def _run(settings: Settings, engine: LocalEngine, bodies: Bodies) -> ASGIApp:
    """Return the app of direct calls; without the layers that only browsers and forms need."""
    calls = _Calls(engine, bodies)
    guarded = RequestGuard(calls, limit=settings.max_body_bytes)
    return _ForBrowsers(KeyGuard(guarded, settings), settings)


class _Calls:
    """Calls of apps: requests and websockets."""

    def __init__(self, engine: LocalEngine, bodies: Bodies) -> None:
        self._engine = engine
        self._run = RunEndpoint(engine, bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one of them."""
        if scope["type"] == "websocket":
            await pass_websocket(WebSocket(scope, receive, send), self._engine)
        else:
            await self._run(scope, receive, send)


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
        """Return the routes."""
        return [
            *self._desk.routes(),
            *PlaygroundRoutes(self._settings, self._engine).routes(),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._exposition),
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
        enough = any if self._settings.ready == "any" else all
        ready = enough(state == "ready" for state in apps.values())
        status = "ready" if ready else "starting"
        return JSONResponse({"status": status, "apps": apps}, 200 if ready else 503)

    async def _exposition(self, _: Request) -> Response:
        self._metrics.note_apps(self._engine.statuses())
        self._metrics.note_queue(await self._desk.waiting())
        self._metrics.note_connections(self._connections.counts)
        self._metrics.note_files(*await in_thread(self._store.totals)())
        return Response(self._metrics.exposition(), media_type=CONTENT_TYPE)


async def _ours(request: Request, error: Exception) -> Response:
    return error_answer(error, is_operator=address_of(request.scope).service == "admin")


async def _http(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 404:  # noqa: PLR2004
        detail = f"Path {request.url.path[:100]} not found"
        return JSONResponse({"detail": detail}, 404, {"x-fal-billable-units": "0"})
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal Server Error"
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"detail": detail}, status, headers)


async def _unknown(request: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error, extra={"path": request.url.path[:200]})
    return error_answer(error)
