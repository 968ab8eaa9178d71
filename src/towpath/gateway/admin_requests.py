"""The operator's routes of the queue: requests of all callers, their logs, once more."""

import shutil
from dataclasses import asdict, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from towpath.clock import Clock, iso, steady_clock
from towpath.concurrency import in_thread
from towpath.downloads.cache import cached
from towpath.engine.local import LocalEngine
from towpath.errors import QueueUnavailableError, RequestError
from towpath.errors.redaction import shown
from towpath.gateway.admin import limit_of
from towpath.gateway.dispatcher import Dispatcher
from towpath.gateway.filed import copied
from towpath.gateway.queue_answers import (
    CANCELLED_WORDS,
    log_json,
    status_json,
    submitted_json,
)
from towpath.gateway.tracing import new_request_id
from towpath.queue.requests import Headers, QueuedRequest
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread
from towpath.runner.wire import REQUEST_ID_HEADER
from towpath.settings import Settings
from towpath.storage.file_store import FileStore

__all__ = ["AdminRequestRoutes"]

_STATES = {"queued": "queued", "running": "running", "done": "done"}
_STATES |= {"IN_QUEUE": "queued", "IN_PROGRESS": "running", "COMPLETED": "done"}
_RECENT = 200
_MOST_ERRORS = 20
_CACHE_SECONDS = 60.0  # counting clones looks at each of their files


class AdminRequestRoutes:
    """`/admin/status` and `/admin/requests`.

    Args:
        settings: where we are.
        engine: how the runners are.
        queue: where requests are.
        dispatcher: who works on them.
        store: where files are.
    """

    def __init__(
        self,
        settings: Settings,
        engine: LocalEngine,
        queue: RequestQueue,
        dispatcher: Dispatcher,
        store: FileStore,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._queue = queue
        self._dispatcher = dispatcher
        self._store = store
        self._cache = _CacheFigures(settings)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/admin/status", self._status),
            Route("/admin/requests", self._requests),
            Route("/admin/requests/{id}", self._request),
            Route("/admin/requests/{id}/logs", self._logs),
            Route("/admin/requests/{id}/rerun", self._rerun, methods=["POST"]),
            Route("/admin/requests/{id}/cancel", self._cancel, methods=["PUT"]),
        ]

    async def _status(self, _: Request) -> Response:
        """Say how everything is."""
        owner = self._settings.owner
        apps = {f"{owner}/{name}": asdict(s) for name, s in self._engine.statuses().items()}
        queue, failed = await self._queue_figures()
        files, size = await in_thread(self._store.totals)()
        content = {
            "apps": apps,
            "queue": queue,
            "storage": {
                "files": files,
                "bytes": size,
                "free": (await in_thread(shutil.disk_usage)(self._settings.store_dir)).free,
            },
            "cache": await in_thread(self._cache.read)(),
            "recent_errors": [self._json(each) for each in failed],
        }
        return JSONResponse(content)

    async def _queue_figures(self) -> tuple[dict[str, object], list[QueuedRequest]]:
        """Return how much waits and runs, and the last failures; while the queue is away, why."""
        try:
            waiting = await in_queue_thread(self._queue.waiting)()
            running = len(await in_queue_thread(self._queue.running)())
            page = await in_queue_thread(self._queue.records.page)(state="done", limit=_RECENT)
        except QueueUnavailableError as error:
            return {"waiting": {}, "running": 0, "failure": str(error)}, []
        failed = [each for each in page.requests if each.kind == "error"]
        return {"waiting": waiting, "running": running}, failed[:_MOST_ERRORS]

    async def _requests(self, request: Request) -> Response:
        """List requests, the newest first."""
        asked = request.query_params
        word = asked.get("status")
        if word is not None and word not in _STATES:
            message = f"status={shown(word, 20)} is none; give queued, running or done."
            raise RequestError(message)
        try:
            page = await in_queue_thread(self._queue.records.page)(
                app=asked.get("app"),
                state=_STATES[word] if word else None,  # type: ignore[arg-type]  # looked up
                cursor=asked.get("cursor"),
                limit=limit_of(asked),
            )
        except ValueError as error:
            message = f"The list cannot be given: {error}."
            raise RequestError(message) from None
        items = [self._json(each) for each in page.requests]
        return JSONResponse({"items": items, "next_cursor": page.cursor})

    async def _request(self, request: Request) -> Response:
        """Say where one request stands."""
        found = await in_queue_thread(self._queue.read)(request.path_params["id"])
        return JSONResponse(self._json(found))

    async def _logs(self, request: Request) -> Response:
        """Give a request's log, from line `first` on."""
        found = await in_queue_thread(self._queue.read)(request.path_params["id"])
        given = request.query_params.get("first", "0")
        first = int(given[:9]) if given.isascii() and given.isdigit() else 0
        lines = await in_queue_thread(self._queue.records.logs)(found.request_id, first=first)
        items = [{"line": place, **log_json(line)} for place, line in lines]
        return JSONResponse({"items": items, "next_cursor": None})

    async def _rerun(self, request: Request) -> Response:
        """Submit a request like an earlier one."""
        new_id = new_request_id()
        copy = await in_queue_thread(self._queue.records.copy_of)(request.path_params["id"], new_id)
        copy = replace(copy, headers=_named(copy.headers, new_id))
        copy = await in_thread(copied)(copy, self._queue.payloads)
        kept = await in_queue_thread(self._queue.submit)(copy)
        self._dispatcher.poke()
        return JSONResponse(submitted_json(kept, self._settings.origin))

    async def _cancel(self, request: Request) -> Response:
        """Take a request back, whoever sent it."""
        word = await self._dispatcher.cancel(request.path_params["id"])
        return JSONResponse({"status": CANCELLED_WORDS[word]})

    def _json(self, each: QueuedRequest) -> dict[str, object]:
        """Return a request as operators see it."""
        said = status_json(each, self._settings.origin, None, None)
        moments = {"submitted_at": each.submitted, "started_at": each.started}
        moments["finished_at"] = each.finished
        times = {name: None if at is None else iso(at) for name, at in moments.items()}
        more = {"app": each.app, "path": each.path, "attempt": each.attempt}
        return {**said, **more, **times, "outcome": each.kind, "status_code": each.status}


class _CacheFigures:
    """What the cache of downloads holds; counted once a minute at most.

    Args:
        settings: where it is.
        clock: a steady one.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or steady_clock()
        self._counted: tuple[float, dict[str, int]] | None = None

    def read(self) -> dict[str, int]:
        """Return the entries and their bytes."""
        now = self._clock()
        if self._counted is None or now - self._counted[0] > _CACHE_SECONDS:
            entries = cached(self._settings.data_dir)
            figures = {"entries": len(entries), "bytes": sum(each.size for each in entries)}
            self._counted = now, figures
        return self._counted[1]


def _named(headers: Headers, request_id: str) -> Headers:
    """Return *headers* with another request's id."""
    own = {REQUEST_ID_HEADER, "x-request-id"}
    return tuple((n, request_id if n.lower() in own else v) for n, v in headers)
