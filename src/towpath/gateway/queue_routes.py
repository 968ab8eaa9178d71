"""The queue over HTTP: submit, status, status as events, result, cancel."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from towpath.clock import Clock
from towpath.engine.local import LocalEngine
from towpath.errors import RequestError, RequestNotFoundError, UnknownAppError, WrongStateError
from towpath.gateway.addresses import Address, Ask
from towpath.gateway.bodies import Bodies
from towpath.gateway.changes import Changes
from towpath.gateway.dispatcher import Dispatcher
from towpath.gateway.endpoints import check_endpoint
from towpath.gateway.entrance import address_of
from towpath.gateway.filed import file_of, pieces_in
from towpath.gateway.intake import Intake
from towpath.gateway.keys import is_operator, is_private
from towpath.gateway.queue_answers import (
    CANCELLED_WORDS,
    eta_of,
    is_for_callers,
    status_json,
    submitted_json,
)
from towpath.gateway.run_routes import Target, spec_of
from towpath.gateway.waiting import waiting_for
from towpath.queue.requests import LogLine, NewRequest, QueuedRequest
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread
from towpath.runner.wire import patience_in
from towpath.settings import Settings

__all__ = ["QueueRoutes"]

Handler = Callable[[Request, Address], Awaitable[Response]]

_COMMENT_SECONDS = 15.0
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_NOT_FOUND = 404
_NOT_ALLOWED = 405
_YES = frozenset({"1", "true", "yes"})
_LONGEST_KEY = 255
_STATUSES = {"removed": 200, "requested": 202, "completed": 400}


class QueueRoutes:
    """`/queue/{owner}/{app}/…`.

    Args:
        settings: where we are.
        engine: which apps there are.
        queue: where requests are.
        dispatcher: who works on them.
        changes: word of changes.
        clock: a steady one.
        bodies: receives what comes with requests.
    """

    def __init__(  # noqa: PLR0913 - it joins as many parts
        self,
        settings: Settings,
        engine: LocalEngine,
        queue: RequestQueue,
        *,
        dispatcher: Dispatcher,
        changes: Changes,
        clock: Clock,
        bodies: Bodies,
    ) -> None:
        self._settings = settings
        self._is_private = is_private(settings)
        self._engine = engine
        self._queue = queue
        self._dispatcher = dispatcher
        self._changes = changes
        self._clock = clock
        self._intake = Intake(queue, bodies)

    def routes(self) -> list[BaseRoute]:
        """Return the routes: one, because the path was read already."""
        return [Route("/queue/{path:path}", self._answer, methods=_METHODS)]

    # --- handlers ---

    async def _answer(self, request: Request) -> Response:
        """Answer by what the path asks for and the method."""
        address = address_of(request.scope)
        if address.service != "queue":
            raise HTTPException(_NOT_FOUND)
        if request.method == "POST" and not address.request_id:
            return await self._submit(request, address)
        handlers: dict[Ask, tuple[str, Handler]] = {
            "result": ("GET", self._result),
            "status": ("GET", self._status),
            "stream": ("GET", self._stream),
            "cancel": ("PUT", self._cancel),
        }
        method, handler = handlers[address.ask]
        if not address.request_id:
            method = "POST"
        if request.method != method:
            detail = f"{request.method} does nothing here. Send {method}."
            raise HTTPException(_NOT_ALLOWED, detail, headers={"allow": method})
        return await handler(request, address)

    async def _submit(self, request: Request, _: Address) -> Response:
        """Put a request in the queue.

        Raises:
            UnknownAppError, UnknownEndpointError: nothing is served at its path.
        """
        spec = await spec_of(request.scope, self._engine)
        if "fal_webhook" in request.query_params:
            detail = "Webhooks are not delivered by this version; ask for the status instead."
            return JSONResponse({"detail": detail}, 501)
        target = Target(request.scope)
        check_endpoint(spec, target.endpoint)
        new = _new_request(request, target, spec.request_start_timeout)
        length = target.length if target.has_body else 0
        kept = await self._intake.submit(new, request.receive, length)
        self._dispatcher.poke()
        request.state.request_id = kept.request_id
        return JSONResponse(submitted_json(kept, self._settings.origin))

    async def _status(self, request: Request, address: Address) -> Response:
        """Say where a request stands."""
        asked = await self._found(request, address)
        lines = None
        if _wants_logs(request):
            known = await in_queue_thread(self._queue.records.logs)(asked.request_id)
            lines = self._readable(request, known)
        return JSONResponse(self._json(asked, lines), 200 if asked.state == "done" else 202)

    async def _stream(self, request: Request, address: Address) -> Response:
        """Say where a request stands at every change, until it is done."""
        asked = await self._found(request, address)
        events = self._events(asked.request_id, request)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _result(self, request: Request, address: Address) -> Response:
        """Give the app's answer, verbatim."""
        asked = await self._found(request, address)
        answer = await in_queue_thread(self._queue.records.answer)(asked.request_id)
        if answer is None:
            word = {"queued": "in the queue", "running": "in progress"}.get(asked.state, "gone")
            raise WrongStateError(
                asked.request_id, word, "ask for its status until it is completed"
            )
        headers, file = file_of(answer.headers, self._queue.payloads)
        given = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers]
        if file is None:
            response, size = Response(answer.body, answer.status), len(answer.body)
        else:
            response = StreamingResponse(pieces_in(file), answer.status)
            size = os.fstat(file.fileno()).st_size
        response.raw_headers = [*given, (b"content-length", str(size).encode())]
        return response

    async def _cancel(self, request: Request, address: Address) -> Response:
        """Take a request back."""
        try:
            asked = await self._found(request, address)
            word = await self._dispatcher.cancel(asked.request_id)
        except RequestNotFoundError as error:
            return JSONResponse({"status": "NOT_FOUND", "detail": error.told}, 404)
        said = {"status": CANCELLED_WORDS[word]}
        if word == "completed":
            said["detail"] = "The request is over already."
        return JSONResponse(said, _STATUSES[word])

    # --- pieces ---

    async def _found(self, request: Request, address: Address) -> QueuedRequest:
        """Return the request in the path.

        Raises:
            RequestNotFoundError: there is none, or it is another app's.
        """
        found = await in_queue_thread(self._queue.read)(address.request_id[:64])
        if found.app != f"{address.owner}/{address.app}":
            raise RequestNotFoundError(found.request_id)
        request.state.request_id = found.request_id
        with suppress(UnknownAppError):  # it may not be served any more
            self._engine.spec(address.owner, address.app)
            request.state.app = found.app
        return found

    def _readable(self, request: Request, lines: Sequence[tuple[int, LogLine]]) -> list[LogLine]:
        """Return the lines that whoever asks may read: tracebacks are the operator's."""
        reads_all = is_operator(request.scope, self._settings, private=self._is_private)
        return [line for _, line in lines if reads_all or is_for_callers(line)]

    def _json(self, asked: QueuedRequest, lines: list[LogLine] | None) -> dict[str, object]:
        usual, room = self._dispatcher.usual(asked.app)
        eta = eta_of(asked, usual, room, self._clock())
        said = status_json(asked, self._settings.origin, lines, eta)
        if asked.state == "queued":
            state = self._engine.states().get(asked.app.partition("/")[2])
            said["waiting_for"] = waiting_for(state)
        return said

    async def _events(self, request_id: str, request: Request) -> AsyncIterator[bytes]:
        """Yield one event for each change, with the lines that are new."""
        place, before, quiet = 0, b"", 0.0
        while True:
            asked = await in_queue_thread(self._queue.read)(request_id)
            lines: list[LogLine] | None = None
            if _wants_logs(request):
                fresh = await in_queue_thread(self._queue.records.logs)(request_id, first=place)
                lines = self._readable(request, fresh)
                place = fresh[-1][0] + 1 if fresh else place
            said = self._json(asked, lines)
            now = json.dumps(said | {"eta": None}).encode()  # it changes all the time
            if now != before or lines:
                before, quiet = now, 0.0
                yield b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"
            if asked.state == "done":
                return
            began = asyncio.get_running_loop().time()
            await self._changes.wait(request_id)
            quiet += asyncio.get_running_loop().time() - began
            if quiet >= _COMMENT_SECONDS:
                quiet = 0.0
                yield b": waiting\n\n"


def _new_request(request: Request, target: Target, start_within: float | None) -> NewRequest:
    """Read a request to be queued, all but its body.

    Raises:
        RequestError: a header or the query cannot be understood.
    """
    headers = request.headers
    query = target.path.partition("?")[2]
    kept = "&".join(p for p in query.split("&") if p and not p.startswith("fal_"))
    patience = patience_in(headers)
    return NewRequest(
        request_id=target.request_id,
        app=target.name,
        path=f"{target.endpoint}?{kept}" if kept else target.endpoint,
        headers=tuple(target.upstream_headers()),
        low_priority=headers.get("x-fal-queue-priority", "").lower() == "low",
        hint=headers.get("x-fal-runner-hint"),
        idempotency_key=_key(headers),
        start_within=patience if patience is not None else start_within,
        retries=headers.get("x-fal-no-retry", "").lower() not in _YES,
        keep_io=headers.get("x-fal-store-io", "1") != "0",
        max_length=_max_length(request),
        caller=target.caller,
    )


def _key(headers: Headers) -> str | None:
    """Return the caller's idempotency key."""
    key = headers.get("idempotency-key")
    if key is not None and len(key) > _LONGEST_KEY:
        message = f"The Idempotency-Key has {len(key)} characters; send at most {_LONGEST_KEY}."
        raise RequestError(message)
    return key


def _max_length(request: Request) -> int | None:
    """Return how long the caller wants the line to be at most."""
    given = request.query_params.get("fal_max_queue_length")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 9):  # noqa: PLR2004 - digits
        message = "fal_max_queue_length is not a whole number; send one, such as 100."
        raise RequestError(message)
    return int(given)


def _wants_logs(request: Request) -> bool:
    """Return whether logs were asked for: `1`, `true`."""
    return request.query_params.get("logs", "").lower() in _YES
