"""Call now: the request goes to the app's runner, and its answer comes back, byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from towpath.engine.local import LocalEngine
from towpath.errors import (
    DeadlineError,
    RunnerIncompleteError,
    RunnerLostError,
    RunnerUnreachableError,
    TowpathError,
)
from towpath.net.upstream import Answer, Broken, Refused, Upstream, UpstreamError, runner_url
from towpath.runner.wire import (
    APP_HEADER,
    ENDPOINT_HEADER,
    REQUEST_ID_HEADER,
    forwarded,
    patience_in,
)

__all__ = ["call_app", "target_path", "upstream_headers"]


async def call_app(request: Request, engine: LocalEngine) -> Response:
    """Pass *request* on to its app's runner; stream both ways.

    Raises:
        UnknownAppError: the app is not served here.
        AppSetupError, StartTimeoutError: it has no runner that works.
        RunnerLostError, RunnerUnreachableError, RunnerIncompleteError: the runner failed.
    """
    owner, app = request.path_params["owner"], request.path_params["app"]
    engine.spec(owner, app)
    request.state.app = f"{owner}/{app}"
    state = engine.states()[app]
    if state != "ready" and request.method == "GET" and target_path(request) == "/health":
        return JSONResponse({"status": state}, 503)
    async with AsyncExitStack() as stack:
        upstream = await _upstream(engine, app, patience_in(request.headers), stack)
        answer = await _send(upstream, request, app)
        stack.callback(answer.close)
        passed = stack.pop_all()
    return _response(answer, _body(answer, app, passed))


async def _upstream(
    engine: LocalEngine, app: str, patience: float | None, stack: AsyncExitStack
) -> Upstream:
    """Wait for a runner, no longer than the caller would."""
    try:
        return await asyncio.wait_for(stack.enter_async_context(engine.acquire(app)), patience)
    except TimeoutError:
        raise DeadlineError(patience or 0, what="did not start", by_user=True) from None


async def _send(upstream: Upstream, request: Request, app: str) -> Answer:
    """Send the request; return when the head of the answer is here."""
    body = _Body(request) if _has_body(request) else None
    try:
        return await upstream.request(
            request.method,
            runner_url(target_path(request)),
            headers=upstream_headers(request),
            data=body.chunks() if body is not None else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
        )
    except UpstreamError as error:
        raise (body.failure if body and body.failure else _failure(error, app)) from None


def _failure(error: UpstreamError, app: str) -> TowpathError:
    """Say what became of the runner."""
    if isinstance(error, Refused):
        return RunnerUnreachableError(app)
    return RunnerLostError(app) if isinstance(error, Broken) else RunnerIncompleteError(app)


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


def target_path(request: Any) -> str:  # noqa: ANN401 - a request or a websocket
    """Return the path and query below the app, as the runner has them."""
    raw = request.scope.get("raw_path") or request.scope["path"].encode()
    below = raw.decode("latin-1").partition("?")[0].split("/", 3)[3:]
    query = request.scope.get("query_string", b"").decode("latin-1")
    path = "/" + (below[0] if below else "")
    trimmed = path.rstrip("/") or "/"
    return f"{trimmed}?{query}" if query else trimmed


def upstream_headers(request: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - as target_path
    """Return what the runner gets: the caller's headers, less its key, and who asks what."""
    owner, app = request.path_params["owner"], request.path_params["app"]
    ours = {
        REQUEST_ID_HEADER: request.scope["state"]["request_id"],
        "x-request-id": request.scope["state"]["request_id"],
        APP_HEADER: f"{owner}/{app}",
        ENDPOINT_HEADER: f"{owner}/{app}{target_path(request).partition('?')[0]}".rstrip("/"),
    }
    pairs = forwarded(request.headers.items())
    kept = [(n, v) for n, v in pairs if n.lower() not in {*ours, "authorization", "cookie"}]
    length = request.headers.get("content-length")
    sized = (
        [("content-length", length)]
        if length and "transfer-encoding" not in request.headers
        else []
    )
    return [*kept, *ours.items(), *sized]


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


async def _body(answer: Answer, app: str, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    """Yield the answer's body as it comes; a break breaks the caller's connection too."""
    async with stack:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
        except (UpstreamError, asyncio.IncompleteReadError):
            raise RunnerIncompleteError(app) from None
