"""Why a queued request waits, and how long it may wait for an app that cannot start."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from towpath.clock import Clock
from towpath.engine.engine import AppState, AppStatus
from towpath.engine.local import LocalEngine
from towpath.errors import QueueUnavailableError, RequestNotFoundError, StartTimeoutError
from towpath.gateway.changes import Changes
from towpath.queue.outcomes import outcome_of
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread

__all__ = ["Unstarted", "waiting_for"]

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_PAGE = 1000
_START_SECONDS = 600.0
"""App.startup_timeout of an app that could not even be loaded."""
_REASONS: Mapping[AppState | None, str] = {
    "ready": "a free runner",
    "starting": "the app, which is starting",
    "backoff": "the app, which cannot start; it is tried again",
    "stopped": "the app, which cannot be loaded",
    None: "the app, which is not served at present",
}


def waiting_for(state: AppState | None) -> str:
    """Say for what a request waits whose app is in *state*; None is an app that is not served."""
    return _REASONS[state]


class Unstarted:
    """Ends requests whose app could not be started for as long as its start may take.

    A request for such an app would wait for ever, since only its runner takes it out of the line.
    One whose caller or app set a time to start within ends at that time already.

    Args:
        queue: where requests wait.
        engine: how the apps are.
        changes: who is told.
        owner: of the apps.
        clock: the clock of the queue.
    """

    def __init__(
        self,
        queue: RequestQueue,
        engine: LocalEngine,
        changes: Changes,
        *,
        owner: str,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._changes = changes
        self._owner = owner
        self._clock = clock
        self._since: dict[str, float] = {}

    async def keep_looking(self) -> None:
        """Look each second, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except QueueUnavailableError as error:
                log.debug("no look at the queue", extra={"reason": str(error)})
            except Exception:
                log.exception("a look at what waits failed; it is tried again")

    async def look(self) -> None:
        """End the requests that have waited long enough for an app that cannot start."""
        now, statuses = self._clock(), self._engine.statuses()
        failing = {name for name, status in statuses.items() if _cannot_start(status)}
        self._since = {name: self._since.get(name, now) for name in failing}
        for name, since in self._since.items():
            limit = self._limit(name)
            if now - since >= limit:
                await self._end(name, limit, before=now - limit)

    def _limit(self, name: str) -> float:
        """Return how long the start of an app may take."""
        known = {spec.name: spec.startup_timeout for spec in self._engine.specs}
        return known.get(name, _START_SECONDS)

    async def _end(self, name: str, limit: float, *, before: float) -> None:
        """End what was submitted before a moment and waits still, page by page."""
        outcome, cursor, is_last = outcome_of(StartTimeoutError(name, limit)), None, False
        while not is_last:
            page = await in_queue_thread(self._queue.records.page)(
                app=f"{self._owner}/{name}", state="queued", cursor=cursor, limit=_PAGE
            )
            cursor, is_last = page.cursor, page.cursor is None
            for request in page.requests:
                if request.submitted <= before:
                    with suppress(RequestNotFoundError):
                        await in_queue_thread(self._queue.end_waiting)(request.request_id, outcome)
                    self._changes.note(request.request_id)


def _cannot_start(status: AppStatus) -> bool:
    """Return whether the last start failed and no runner of an earlier one is left."""
    return status.failure is not None and not status.idle and not status.busy
