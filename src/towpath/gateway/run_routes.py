"""Call now: the request goes to the app's runner, and its answer comes back, byte for byte.

A place on a runner is taken when the whole body is here (see `bodies`), and is free again before a
small answer is sent. A large answer, or a stream, is passed on as it comes: its caller holds the
place, and loses it with the call when nothing is taken for a while.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.engine.engine import RunnerLease
from towpath.engine.local import LocalEngine
from towpath.errors import (
    DeadlineError,
    TowpathError,
    UnknownEndpointError,
)
from towpath.gateway.answers import error_answer
from towpath.gateway.attempts import failure_of
from towpath.gateway.bodies import Bodies, Body
from towpath.gateway.entrance import address_of
from towpath.gateway.passing import passed
from towpath.net.upstream import Answer, UpstreamError
from towpath.runner.wire import (
    APP_HEADER,
    CALLER_HEADER,
    ENDPOINT_HEADER,
    HOP_BY_HOP,
    REQUEST_ID_HEADER,
    STEERING,
    AppSpec,
    patience_in,
)
from towpath.web.messages import body_part
from towpath.web.serving import BrokenOffError
from towpath.web.zero_copy import LINES

__all__ = ["Leased", "RunEndpoint", "Target", "spec_of"]

log = logging.getLogger(__name__)

_SPARE_SECONDS = 0.5
_SMALL = 256 * 1024
_READS = ("GET", "HEAD")
_REPLACED = {"server", "date", REQUEST_ID_HEADER}
_LOST = (HOP_BY_HOP | _REPLACED | STEERING) - {"content-length"}
_NOT_PASSED = frozenset(n.encode() for n in _LOST)


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
        bodies: receives what is sent to them.
    """

    def __init__(self, engine: LocalEngine, bodies: Bodies) -> None:
        self._engine = engine
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            answer: ASGIApp | None = await self._passed(scope, receive, send)
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
        body = await self._received(target, receive)
        try:
            await self._answered(scope, target, spec, body=body, send=send)
        finally:
            if body is not None:
                body.close()
        return None

    async def _received(self, target: Target, receive: Receive) -> Body | None:
        """Receive the body, before a place is taken for it; None where there is none."""
        return await self._bodies.receive(receive, target.length) if target.has_body else None

    async def _answered(
        self, scope: Scope, target: Target, spec: AppSpec, *, body: Body | None, send: Send
    ) -> None:
        """Send a request to a runner, and its answer to the caller."""
        takes_lines = LINES in scope.get("extensions", {})
        async with Leased(self._engine, target) as lease:
            lease.begin(target.request_id)
            sending = _send(lease, scope["method"], target, body)
            async with await _in_time(sending, spec) as answer:
                whole = await _whole(answer, lease, target.app, takes_lines=takes_lines)
                if whole is None:
                    await _pass_on(answer, lease, _in_turn(send, spec, target), target.app)
        if whole is not None:  # its place is free: it waits for no caller who reads slowly
            for message in whole:
                await send(message)


class Leased:
    """A place on a runner, waited for no longer than the caller would."""

    def __init__(self, engine: LocalEngine, target: Target) -> None:
        hint = target.headers.get("x-fal-runner-hint")
        self._place = engine.acquire(target.app, hint=hint)
        self._patience = patience_in(target.headers)

    async def __aenter__(self) -> RunnerLease:
        if self._patience is None:
            return await self._place.__aenter__()
        try:
            async with asyncio.timeout(self._patience) as timer:
                return await self._place.__aenter__()
        except TimeoutError:
            if not timer.expired():
                raise
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
        async with asyncio.timeout(spec.request_timeout + _SPARE_SECONDS) as timer:
            return await sending
    except TimeoutError:
        if not timer.expired():
            raise
        seconds = spec.request_timeout
        raise DeadlineError(seconds, what="did not finish", by_user=False) from None


async def _send(lease: RunnerLease, method: str, target: Target, body: Body | None) -> Answer:
    """Send the request; return when the head of the answer is here."""
    headers = target.upstream_headers()
    data = None if body is None else body.sendable()
    if body is not None and not isinstance(data, bytes):
        headers += [("content-length", str(body.size))]
    try:
        return await lease.upstream.request(method, target.path, headers=headers, data=data)
    except UpstreamError as error:
        raise await failure_of(error, lease, target.app) from None


async def _whole(
    answer: Answer, lease: RunnerLease, app: str, *, takes_lines: bool
) -> tuple[Message, Message] | None:
    """Return a small answer as messages to send; None for one that is not small."""
    length, headers = answer.content_length, _passed_headers(answer)
    if length is None or length > _SMALL:
        return None
    try:
        body = await answer.read()
    except UpstreamError as error:
        raise await failure_of(error, lease, app) from None
    lease.finish(answer.status, answer.headers)
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
    if takes_lines and len(body) == length:  # not after HEAD
        start.update(headers=[], lines=_lines(headers), length=length)
    return start, body_part(body, more=False)


async def _pass_on(answer: Answer, lease: RunnerLease, send: Send, app: str) -> None:
    """Give the runner's answer to the caller as it comes."""
    headers = _passed_headers(answer)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    try:
        async for chunk in answer.chunks():
            await send(body_part(chunk))
    except UpstreamError as error:
        reason = str(error) or type(error).__name__
        log.warning("an answer broke off; so does the call", extra={"app": app, "reason": reason})
        raise BrokenOffError from None
    lease.finish(answer.status, answer.headers)
    await send(body_part(b"", more=False))


def _in_turn(send: Send, spec: AppSpec, target: Target) -> Send:
    """Return *send* for an answer whose runner waits: a caller who is too slow ends it."""
    seconds = spec.stall_timeout
    if seconds is None:
        return send

    async def patient(message: Message) -> None:
        try:
            async with asyncio.timeout(seconds) as timer:
                await send(message)
        except TimeoutError:
            if not timer.expired():
                raise
            fields = {"request_id": target.request_id, "app": target.name, "seconds": seconds}
            log.warning("a caller took too little of its answer; the call is ended", extra=fields)
            raise BrokenOffError from None

    return patient


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
