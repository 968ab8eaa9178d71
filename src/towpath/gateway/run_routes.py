"""Call now: the request goes to the app's runner, and its answer comes back, byte for byte."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.engine.engine import RunnerLease
from towpath.engine.local import LocalEngine
from towpath.errors import (
    DeadlineError,
    RequestError,
    RunnerIncompleteError,
    TowpathError,
    UnknownEndpointError,
)
from towpath.gateway.answers import error_answer
from towpath.gateway.attempts import failure_of
from towpath.gateway.entrance import address_of
from towpath.gateway.passing import passed
from towpath.net.upstream import Answer, Upstream, UpstreamError
from towpath.runner.wire import (
    APP_HEADER,
    CALLER_HEADER,
    ENDPOINT_HEADER,
    HOP_BY_HOP,
    REQUEST_ID_HEADER,
    AppSpec,
    patience_in,
)
from towpath.web.messages import body_part
from towpath.web.zero_copy import LINES

__all__ = ["RunEndpoint", "Target", "spec_of"]

_SPARE_SECONDS = 1.0
_HINTS = "x-fal-runner-hints"
_SMALL = 256 * 1024
_READS = ("GET", "HEAD")
_REPLACED = {"server", "date", REQUEST_ID_HEADER}
_NOT_PASSED = frozenset(n.encode() for n in (HOP_BY_HOP | _REPLACED) - {"content-length"})


class Target:
    """Whom a request is for, and what its runner gets.

    Args:
        scope: of a request or a websocket of an app.
    """

    def __init__(self, scope: Scope) -> None:
        address = address_of(scope)
        self.owner, self.app, self.endpoint = address.owner, address.app, address.endpoint
        query = scope.get("query_string", b"").decode("latin-1")
        self.path = f"{self.endpoint}?{query}" if query else self.endpoint
        self._pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]]
        self.headers = dict(self._pairs)
        self._state = scope["state"]

    @property
    def name(self) -> str:
        """Return `owner/app`."""
        return f"{self.owner}/{self.app}"

    @property
    def request_id(self) -> str:
        """Return the request's id."""
        found: str = self._state["request_id"]
        return found

    @property
    def caller(self) -> str:
        """Return the id of the caller's key; '' without one."""
        found: str = self._state.get("caller", "")
        return found

    @property
    def length(self) -> int | None:
        """Return the declared length of the body; None when it has none, or is in chunks."""
        given = self.headers.get("content-length", "")
        return int(given) if given.isdigit() and "transfer-encoding" not in self.headers else None

    @property
    def has_body(self) -> bool:
        """Return whether the request says that it has a body."""
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    def upstream_headers(self) -> list[tuple[str, str]]:
        """Return what the runner gets: the caller's headers, less ours, and who asks what."""
        kept = passed(self._pairs)
        endpoint = f"{self.name}{self.endpoint}".rstrip("/")
        kept += [(REQUEST_ID_HEADER, self.request_id), ("x-request-id", self.request_id)]
        kept += [(APP_HEADER, self.name), (ENDPOINT_HEADER, endpoint)]
        if self.caller:
            kept.append((CALLER_HEADER, self.caller))
        return kept


async def spec_of(scope: Scope, engine: LocalEngine) -> AppSpec:
    """Return the app that a request is for, and note it for log and metrics.

    Raises:
        UnknownAppError: the app is not served here.
        AppSetupError, AppStartingError: it cannot be loaded, or is still being loaded.
        UnknownEndpointError: no app can have an endpoint at that path.
    """
    address = address_of(scope)
    spec = await engine.find(address.owner, address.app)
    scope["state"]["app"] = f"{address.owner}/{address.app}"
    if address.is_closed:
        raise UnknownEndpointError(address.endpoint, spec.endpoints)
    return spec


class RunEndpoint:
    """`/{owner}/{app}/…`: passes requests on to runners, and answers back; streams both ways.

    Args:
        engine: where runners are.
    """

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            answer: ASGIApp | None = await self._passed(scope, receive, send)
        except _BrokenOffError:
            raise
        except TowpathError as error:
            answer = error_answer(error)
        if answer is not None:
            await answer(scope, receive, send)

    async def _passed(self, scope: Scope, receive: Receive, send: Send) -> ASGIApp | None:
        """Pass a request on; return an answer of our own, if it is to have one.

        Raises:
            UnknownAppError: the app is not served here.
            UnknownEndpointError: no app can have an endpoint at that path.
            AppSetupError, StartTimeoutError: it has no runner that works.
            RunnerLostError, RunnerUnreachableError, RunnerIncompleteError: the runner failed.
        """
        spec, target = await spec_of(scope, self._engine), Target(scope)
        if target.endpoint == "/health" and scope["method"] == "GET":
            state = self._engine.states()[target.app]
            if state != "ready":
                return JSONResponse({"status": state}, 503)
        if target.endpoint == "/openapi.json" and scope["method"] in _READS:
            return GZipMiddleware(JSONResponse(dict(spec.document)))  # needs no runner
        async with _Leased(self._engine, target) as lease:
            lease.begin(target.request_id)
            sending = _send(lease.upstream, scope["method"], target, receive)
            answer = await _in_time(sending, spec)
            async with answer:
                takes_lines = LINES in scope.get("extensions", {})
                await _pass_back(answer, lease, send, target.app, takes_lines=takes_lines)
        return None


class _BrokenOffError(RunnerIncompleteError):
    """The answer broke off after its head was passed on: the caller's connection has to break."""


class _Leased:
    """A place on a runner, waited for no longer than the caller would."""

    def __init__(self, engine: LocalEngine, target: Target) -> None:
        hint = target.headers.get("x-fal-runner-hint")
        self._place = engine.acquire(target.app, hint=hint)
        self._patience = patience_in(target.headers)

    async def __aenter__(self) -> RunnerLease:
        if self._patience is None:
            return await self._place.__aenter__()
        try:
            return await asyncio.wait_for(self._place.__aenter__(), self._patience)
        except TimeoutError:
            raise DeadlineError(self._patience, what="did not start", by_user=True) from None

    async def __aexit__(self, *failure: object) -> None:
        await self._place.__aexit__(*failure)


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


async def _send(upstream: Upstream, method: str, target: Target, receive: Receive) -> Answer:
    """Send the request; return when the head of the answer is here."""
    length, body = target.length, _Body(receive)
    headers = target.upstream_headers()
    data: bytes | AsyncIterator[bytes] | None = None
    if length is not None and length <= _SMALL:
        data = await body.whole()
    elif target.has_body:
        data = body.chunks()
        headers += [("content-length", str(length))] if length is not None else []
    try:
        return await upstream.request(method, target.path, headers=headers, data=data)
    except UpstreamError as error:
        raise failure_of(error, target.app) from None


class _Body:
    """The caller's body on its way to the runner."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def whole(self) -> bytes:
        """Return a body that is small.

        Raises:
            RequestError: it broke off, or came too slowly.
        """
        message = await self._receive()
        first = _piece(message)
        if not message.get("more_body", False):
            return first
        return first + b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            RequestError: it broke off, or came too slowly.
        """
        more = True
        while more:
            message = await self._receive()
            yield _piece(message)
            more = message.get("more_body", False)


def _piece(message: Message) -> bytes:
    """Return a piece of a body."""
    if message["type"] == "http.disconnect":
        reason = "The body broke off."
        raise RequestError(reason)
    return bytes(message.get("body", b""))


async def _pass_back(
    answer: Answer, lease: RunnerLease, send: Send, app: str, *, takes_lines: bool
) -> None:
    """Give the runner's answer to the caller."""
    length, headers = answer.content_length, _passed_headers(answer)
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    hints = answer.headers.get(_HINTS, "")
    if length is not None and length <= _SMALL:
        try:
            body = await answer.read()
        except UpstreamError as error:
            raise failure_of(error, app) from None
        lease.finish(answer.status, hints)
        if takes_lines and len(body) == length:  # not after HEAD
            start |= {"headers": [], "lines": _lines(headers), "length": length}
        await send(start)
        await send(body_part(body, more=False))
        return
    await send(start)
    try:
        async for chunk in answer.chunks():
            await send(body_part(chunk))
    except UpstreamError:
        raise _BrokenOffError(app) from None
    lease.finish(answer.status, hints)
    await send(body_part(b"", more=False))


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as they are sent; the parser has looked at each byte of them."""
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)


def _passed_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return the runner's headers, less those of its connection."""
    lost = _NOT_PASSED
    if "transfer-encoding" in answer.headers:
        lost |= {b"content-length"}
    if "connection" in answer.headers:
        named = answer.headers["connection"].encode("latin-1").lower()
        lost |= {token.strip() for token in named.split(b",")}
    return [pair for pair in answer.raw_headers if pair[0] not in lost]
