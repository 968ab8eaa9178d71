"""An AppHost as a FastAPI app: its routes, its OpenAPI document, its error answers."""

import functools
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import FastAPI, WebSocket
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from towpath.app.definition import BoundEndpoint
from towpath.app.hints import with_hints
from towpath.concurrency import in_thread
from towpath.context import RequestContext, serving
from towpath.errors import (
    DownloadError,
    InputError,
    MediaError,
)
from towpath.files.file import File
from towpath.runner.begun import BegunAnswer, cause_of
from towpath.runner.binding import Plan, http_request, plan_of, route_of
from towpath.runner.checking import check_inputs, constrained_in
from towpath.runner.failing import Failures, breakdown
from towpath.runner.host import AppHost
from towpath.runner.invoke import Invoker, holding, is_generator
from towpath.runner.leaving import CANCEL, leaving
from towpath.runner.registry import Registry
from towpath.runner.wire import ENDED_PATH, TRACED_HEADER, context_of, patience_in
from towpath.settings import Settings
from towpath.temporaries import Keeper, keeping
from towpath.web.errors import problem_of
from towpath.web.receiving import RequestGuard

__all__ = ["create_runner", "document_of"]

_NOT_FOUND = 404
_DEPTH = 6


def create_runner(
    host: AppHost,
    settings: Settings,
    tell_over: Callable[[str, bool], None] | None = None,
    tell_failed: Callable[[str, str], None] | None = None,
    *,
    tell_operator: Callable[[str, str], None] | None = None,
) -> ASGIApp:
    """Return the ASGI app of a runner.

    Args:
        host: the app.
        settings: what is allowed.
        tell_over: called with a request's id, and whether its end is to be told, when nothing
            works for it any more.
        tell_failed: called with a request's id, and as JSON how it failed, when its code fails
            after its answer has begun.
        tell_operator: called with a request's id and a line of why its code failed.

    Raises:
        AppDefinitionError: an endpoint's signature cannot be served.
    """
    registry = Registry(tell_over or (lambda *_: None))
    failures = Failures(tell_operator)
    api = _api(host, registry, failures)
    app = _InContext(
        api, host, registry, tell_failed=tell_failed or (lambda *_: None), failures=failures
    )
    grace = host.kind.termination_grace_period_seconds
    paths = {endpoint.spec.path for endpoint in host.endpoints}
    leave = leaving(app, paths, doom=lambda: api.state.invoker.doom, grace=grace)
    return RequestGuard(app, limit=settings.max_body_bytes, leave=leave)


def document_of(host: AppHost) -> dict[str, Any]:  # Any: JSON
    """Return an app's OpenAPI document, without setting it up.

    Raises:
        AppDefinitionError: an endpoint's signature cannot be served.
    """
    return _document(_api(host, Registry(lambda *_: None), Failures()), host)


def _api(host: AppHost, registry: Registry, failures: Failures) -> FastAPI:
    """Return the routes of an app.

    Raises:
        AppDefinitionError: an endpoint's signature cannot be served.
    """

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        api.state.invoker = host.invoker(registry)
        yield
        await host.teardown()
        api.state.invoker.close()

    api = FastAPI(
        title=host.kind.title or host.kind.name,
        description=inspect.cleandoc(host.kind.__doc__ or ""),
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    paths = {endpoint.spec.path for endpoint in host.endpoints}
    for endpoint in host.endpoints:
        _add(api, endpoint, is_aside=_is_aside(endpoint, paths))
    _add_own_routes(api, host, registry)
    failures.answer(api, host)
    return api


def _is_aside(endpoint: BoundEndpoint, paths: Collection[str]) -> bool:
    """Return whether an endpoint takes no place: it tells of the others, or stops one of them."""
    path = endpoint.spec.path
    stops = path.endswith(CANCEL) and (path.removesuffix(CANCEL) or "/") in paths
    return stops or endpoint.spec.health_check is not None


class _InContext:
    """ASGI middleware: the request's context around all that works for it; hints on answers."""

    def __init__(
        self,
        app: ASGIApp,
        host: AppHost,
        registry: Registry,
        *,
        tell_failed: Callable[[str, str], None],
        failures: Failures,
    ) -> None:
        self._app = app
        self._host = host
        self._registry = registry
        self._tell_failed = tell_failed
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or websocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        context, keeper = context_of(scope["headers"], scope["path"]), Keeper()
        self._registry.enter(context.request_id, is_traced=TRACED_HEADER in context.headers)
        self._registry.keep(context.request_id, keeper)
        answer = BegunAnswer(send, self._host.hints)
        try:
            with serving(context), keeping(keeper):
                try:
                    async with holding():
                        await self._app(scope, receive, answer.send)
                except Exception as error:
                    if answer.state != "open":
                        raise
                    await self._fail(answer, scope["path"], context, error)
        finally:
            self._registry.leave(context.request_id)

    async def _fail(
        self, answer: BegunAnswer, path: str, context: RequestContext, error: Exception
    ) -> None:
        """Tell that the app failed after its answer had begun.

        Raises:
            Exception: the error again, where only a broken connection shows that more was to come.
        """
        cause = cause_of(error)
        self._failures.note(path, cause)
        problem = breakdown(cause) or problem_of(cause)
        if TRACED_HEADER in context.headers:
            said = {"status": problem.status, "body": dict(problem.body)}
            self._tell_failed(context.request_id, json.dumps(said))
        if not answer.is_events:
            raise error
        await answer.fail(problem)


# --- routes --------------------------------------------------------------------------------------


def _add(api: FastAPI, endpoint: BoundEndpoint, *, is_aside: bool) -> None:
    """Serve one endpoint."""
    if endpoint.spec.is_websocket:
        api.add_api_websocket_route(endpoint.spec.path, _socket_handler(endpoint))
        return
    plan = plan_of(endpoint)
    api.router.routes.append(route_of(endpoint, plan, _handler(endpoint, plan, is_aside=is_aside)))


def _handler(
    endpoint: BoundEndpoint, plan: Plan, *, is_aside: bool
) -> Callable[..., Any]:  # Any: FastAPI's values
    """Return what FastAPI calls for *endpoint*."""

    async def handle(**bound: Any) -> Any:  # noqa: ANN401 - the author's values
        request, arguments = http_request(), plan.arguments(bound)
        invoker = cast("Invoker", request.app.state.invoker)
        try:
            if constrained := constrained_in(bound):
                await in_thread(check_inputs)(constrained)
                arguments = plan.arguments(bound)
            patience = patience_in(request.headers)
            return await invoker.call(
                endpoint.call, arguments, patience=patience, is_aside=is_aside
            )
        except (DownloadError, MediaError) as error:
            request.state.blamed = _blamed(error.url, arguments)
            raise
        except InputError as error:
            request.state.value = _value_of(error.field, arguments)
            raise

    if plan.model is not None:
        setattr(handle, "__towpath_names__", plan.names)  # noqa: B010 - read by the route
    return handle


def _socket_handler(endpoint: BoundEndpoint) -> Callable[..., Awaitable[None]]:
    """Return what FastAPI calls for a websocket: the author's method, beside the requests."""

    @functools.wraps(endpoint.call)
    async def handle(**kwargs: object) -> None:
        sockets = [value for value in kwargs.values() if isinstance(value, WebSocket)]
        invoker = cast("Invoker", sockets[0].app.state.invoker)
        await invoker.call(endpoint.call, kwargs, is_aside=True)

    return handle


def _add_own_routes(api: FastAPI, host: AppHost, registry: Registry) -> None:
    """Serve what every runner has: its health, its document, and word of requests that end."""

    async def over(request_id: str) -> Response:
        await registry.over(request_id)
        return Response(status_code=204)

    async def health() -> Any:  # noqa: ANN401 - the author's value
        return await host.health()

    async def document() -> JSONResponse:
        return JSONResponse(_document(api, host))

    own = f"{ENDED_PATH}{{request_id}}"
    api.add_api_route(own, over, methods=["GET"], include_in_schema=False, response_model=None)
    api.add_api_route("/health", health, methods=["GET"], include_in_schema=False)
    api.add_api_route("/openapi.json", document, methods=["GET"], include_in_schema=False)


def _document(api: FastAPI, host: AppHost) -> dict[str, Any]:  # Any: JSON
    """Return the OpenAPI document with our hints."""
    document = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    posts = [e.spec.path for e in host.endpoints if not e.spec.is_websocket]
    sockets = [e.spec.path for e in host.endpoints if e.spec.is_websocket]
    streams = {e.spec.path for e in host.endpoints if is_generator(e.call)}
    return with_hints(document, paths=[*posts, "/health", *sockets], streams=streams)


# --- whose input is to blame ---------------------------------------------------------------------


def _value_of(field: str | None, arguments: Mapping[str, Any]) -> object:  # Any: author's values
    """Return the value of the input *field*: a parameter, or a field of the body's model."""
    if field is None:
        return None
    models = [dict(value) for value in arguments.values() if isinstance(value, BaseModel)]
    return next((given[field] for given in (arguments, *models) if field in given), None)


def _blamed(url: str | None, arguments: Mapping[str, Any]) -> list[str | int] | None:
    """Return where in the caller's input *url* stands, or None when it is not the caller's."""
    if url is None:
        return None
    for name, value in arguments.items():
        if isinstance(value, BaseModel) and not isinstance(value, File):
            found = _find(url, value, _DEPTH)
        else:
            found = _find(url, value, _DEPTH)
            found = None if found is None else [name, *found]
        if found is not None:
            return ["body", *found]
    return None


def _find(url: str, value: object, depth: int) -> list[str | int] | None:
    """Return the path to *url* inside of *value*."""
    if isinstance(value, str):
        return [] if value == url else None
    if isinstance(value, File):
        return [] if value.url == url else None
    children = _children(value) if depth else []
    for key, child in children:
        found = _find(url, child, depth - 1)
        if found is not None:
            return [key, *found]
    return None


def _children(value: object) -> list[tuple[str | int, object]]:
    """Return what lies inside of a model, a dict or a list."""
    if isinstance(value, BaseModel):
        return list(dict(value).items())
    if isinstance(value, Mapping):
        return [(str(key), child) for key, child in value.items()]
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return []
