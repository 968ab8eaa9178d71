"""Call now: the request goes to the app's runner, and its answer comes back, byte for byte."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from towpath.engine.engine import RunnerLease
from towpath.engine.local import LocalEngine
from towpath.errors import (
    DeadlineError,
    RunnerIncompleteError,
    TowpathError,
    UnknownEndpointError,
)
from towpath.gateway.attempts import failure_of
from towpath.net.upstream import Answer, Upstream, UpstreamError, runner_url
from towpath.runner.wire import (
    APP_HEADER,
    ENDPOINT_HEADER,
    OWN_PATHS,
    REQUEST_ID_HEADER,
    TRACED_HEADER,
    AppSpec,
    forwarded,
    patience_in,
)

__all__ = ["call_app", "target_path", "upstream_headers"]

_SPARE_SECONDS = 1.0
_HINTS = "x-fal-runner-hints"


async def call_app(request: Request, engine: LocalEngine) -> Response:
    """Pass *request* on to its app's runner; stream both ways.

    Raises:
        UnknownAppError: the app is not served here.
        UnknownEndpointError: the path is between server and runner.
        AppSetupError, StartTimeoutError: it has no runner that works.
        RunnerLostError, RunnerUnreachableError, RunnerIncompleteError: the runner failed.
    """
    owner, app = request.path_params["owner"], request.path_params["app"]
    spec = engine.spec(owner, app)
    request.state.app = f"{owner}/{app}"
    path = target_path(request)
    if path.startswith(OWN_PATHS):
        raise UnknownEndpointError(path, spec.endpoints)
    state = engine.states()[app]
    if state != "ready" and request.method == "GET" and path == "/health":
        return JSONResponse({"status": state}, 503)
    async with AsyncExitStack() as stack:
        lease = await _leased(engine, app, request, stack)
        lease.begin(request.scope["state"]["request_id"])
        answer = await _in_time(_send(lease.upstream, request, app), spec)
        stack.callback(answer.close)
        passed = stack.pop_all()
    return _response(answer, _body(answer, app, passed, lease))


async def _leased(
    engine: LocalEngine, app: str, request: Request, stack: AsyncExitStack
) -> RunnerLease:
    """Wait for a place on a runner, no longer than the caller would."""
    patience = patience_in(request.headers)
    hint = request.headers.get("x-fal-runner-hint")
    place = stack.enter_async_context(engine.acquire(app, hint=hint))
    if patience is None:
        return await place
    try:
        return await asyncio.wait_for(place, patience)
    except TimeoutError:
        raise DeadlineError(patience, what="did not start", by_user=True) from None


async def _in_time(sending: Coroutine[None, None, Answer], spec: AppSpec) -> Answer:
    """Wait for the head of an answer a little longer than the runner lets its app take.

    Raises:
        DeadlineError: the runner does not even say that it took too long.
    """
    if spec.request_timeout is None:
        return await sending
    try:
        return await asyncio.wait_for(sending, spec.request_timeout + _SPARE_SECONDS)
    except TimeoutError:
        seconds = spec.request_timeout
        raise DeadlineError(seconds, what="did not finish", by_user=False) from None


async def _send(upstream: Upstream, request: Request, app: str) -> Answer:
    """Send the request; return when the head of the answer is here."""
    body = _Body(request) if _has_body(request) else None
    path = target_path(request)
    try:
        return await upstream.request(
            request.method,
            runner_url(path),
            headers=[*upstream_headers(request, path.partition("?")[0]), *_length(request)],
            data=body.chunks() if body is not None else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
        )
    except UpstreamError as error:
        raise (body.failure if body and body.failure else failure_of(error, app)) from None


class _Body:
    """The caller's body on its way to the runner; keeps why it broke off."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.failure: TowpathError | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        try:
            async for chunk in self._request.stream():
                yield chunk
        except TowpathError as error:
            self.failure = error
            raise


def _has_body(request: Request) -> bool:
    """Return whether a request says that it has a body."""
    return "content-length" in request.headers or "transfer-encoding" in request.headers


def target_path(request: Any, *, depth: int = 3) -> str:  # noqa: ANN401 - a request or a websocket
    """Return the path and query below the app, as the runner has them.

    Args:
        request: to `/owner/app/…`, or deeper.
        depth: slashes before what is below the app.
    """
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    below = raw.decode("latin-1").partition("?")[0].split("/", depth)[depth:]
    query = request.scope.get("query_string", b"").decode("latin-1")
    path = "/" + (below[0] if below else "")
    trimmed = path.rstrip("/") or "/"
    return f"{trimmed}?{query}" if query else trimmed


def upstream_headers(request: Any, path: str) -> list[tuple[str, str]]:  # noqa: ANN401 - as target_path
    """Return what the runner gets: the caller's headers, less its key, and who asks what."""
    owner, app = request.path_params["owner"], request.path_params["app"]
    ours = {
        REQUEST_ID_HEADER: request.scope["state"]["request_id"],
        "x-request-id": request.scope["state"]["request_id"],
        APP_HEADER: f"{owner}/{app}",
        ENDPOINT_HEADER: f"{owner}/{app}{path}".rstrip("/"),
    }
    dropped = {*ours, TRACED_HEADER, "authorization", "cookie"}
    pairs = forwarded(request.headers.items())
    return [*((n, v) for n, v in pairs if n.lower() not in dropped), *ours.items()]


def _length(request: Request) -> list[tuple[str, str]]:
    """Return the length of a body that has one."""
    length = request.headers.get("content-length")
    is_sized = length is not None and "transfer-encoding" not in request.headers
    return [("content-length", length)] if length and is_sized else []


def _response(answer: Answer, body: AsyncIterator[bytes]) -> Response:
    """Return the runner's answer as ours."""
    response = StreamingResponse(body, status_code=answer.status)
    pairs = forwarded((n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers)
    length = answer.headers.get("content-length")
    if length is not None and "transfer-encoding" not in answer.headers:
        pairs.append(("content-length", length))
    response.raw_headers = [
        (n.lower().encode("latin-1"), v.encode("latin-1"))
        for n, v in pairs
        if n.lower() not in {"server", "date"}
    ]
    return response


async def _body(
    answer: Answer, app: str, stack: AsyncExitStack, lease: RunnerLease
) -> AsyncIterator[bytes]:
    """Yield the answer's body as it comes; a break breaks the caller's connection too."""
    async with stack:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
            lease.finish(answer.status, answer.headers.get(_HINTS, ""))
        except (UpstreamError, asyncio.IncompleteReadError):
            raise RunnerIncompleteError(app) from None
