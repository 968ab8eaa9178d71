"""The queue's side of the server: its routes, and who works on its requests."""

import asyncio
from collections.abc import Sequence

from starlette.routing import BaseRoute

from towpath.clock import steady_clock
from towpath.engine.local import LocalEngine
from towpath.errors import QueueUnavailableError
from towpath.gateway.admin_requests import AdminRequestRoutes
from towpath.gateway.bodies import Bodies
from towpath.gateway.changes import Changes
from towpath.gateway.dispatcher import Dispatcher
from towpath.gateway.journal import Journal
from towpath.gateway.queue_routes import QueueRoutes
from towpath.gateway.waiting import Unstarted
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread
from towpath.settings import Settings
from towpath.storage.file_store import FileStore

__all__ = ["QueueDesk"]


class QueueDesk:
    """Puts the queue's parts together.

    Args:
        queue: where requests wait.
        engine: what runs the apps.
        settings: limits and addresses.
        worker: this server's name among those that share the queue.
        bodies: receives what comes with requests.
    """

    def __init__(
        self,
        queue: RequestQueue,
        engine: LocalEngine,
        settings: Settings,
        *,
        worker: str,
        bodies: Bodies,
    ) -> None:
        self._bodies = bodies
        self._queue = queue
        self._engine = engine
        self._settings = settings
        self._clock = steady_clock()
        self._changes = Changes()
        journal = Journal(queue, self._changes, most_bytes=settings.request_log_bytes)
        engine.listen(journal.hear)
        self._dispatcher = Dispatcher(
            queue,
            engine,
            journal,
            self._changes,
            clock=self._clock,
            worker=worker,
            retention=settings.queue_retention,
        )

        self._unstarted = Unstarted(
            queue, engine, self._changes, owner=settings.owner, clock=self._clock
        )
        self._looking: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of callers."""
        return QueueRoutes(
            self._settings,
            self._engine,
            self._queue,
            dispatcher=self._dispatcher,
            changes=self._changes,
            clock=self._clock,
            bodies=self._bodies,
        ).routes()

    def admin_routes(self, store: FileStore) -> Sequence[BaseRoute]:
        """Return the routes of operators."""
        return AdminRequestRoutes(
            self._settings, self._engine, self._queue, self._dispatcher, store
        ).routes()

    async def start(self) -> None:
        """Begin to work on requests."""
        await self._dispatcher.start()
        self._looking = asyncio.create_task(self._unstarted.keep_looking(), name="unstarted")

    async def stop(self) -> None:
        """Finish the requests at work, each within its app's grace; the others wait on."""
        if self._looking is not None:
            self._looking.cancel()
        grace = max((spec.grace for spec in self._engine.specs), default=5.0)
        await self._dispatcher.stop(grace=grace)

    async def waiting(self) -> dict[str, int]:
        """Return how many requests wait, by app; none are known while the queue is away."""
        try:
            return await in_queue_thread(self._queue.waiting)()
        except QueueUnavailableError:
            return {}
