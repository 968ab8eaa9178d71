"""Tasks that nobody waits for: kept until they are over, and what they raise is written down."""

import asyncio
import logging
from collections.abc import Coroutine

__all__ = ["Tasks"]

log = logging.getLogger(__name__)


class Tasks:
    """Holds tasks until they are over."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Run *work* in a task of its own."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    async def stop(self) -> None:
        """Cancel the tasks and wait for their ends."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: "asyncio.Task[None]") -> None:
        """Drop a task that is over."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the engine failed", exc_info=error)
