"""Keeps one runner of an app alive: starts it, replaces it, backs off when it cannot start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from towpath.engine.child import Child
from towpath.errors import AppError, AppSetupError, RunnerUnreachableError, StartTimeoutError
from towpath.runner.wire import AppSpec

__all__ = ["State", "Supervisor", "backoff_seconds"]

log = logging.getLogger(__name__)

State = Literal["starting", "ready", "backoff", "stopped"]
_LONGEST_BACKOFF = 60.0


def backoff_seconds(failures: int) -> float:
    """Return how long to wait after so many failed starts in a row: 1, 2, 4 … 60 s."""
    return 0.0 if failures <= 0 else min(_LONGEST_BACKOFF, 2.0 ** (failures - 1))


class Supervisor:
    """One app's runner.

    Args:
        spec: the app.
        start: starts a runner of a spec.
    """

    def __init__(self, spec: AppSpec, start: Callable[[AppSpec], Awaitable[Child]]) -> None:
        self.spec = spec
        self.state: State = "starting"
        self.restarts = 0
        self._start = start
        self._child: Child | None = None
        self._failure: AppError | None = None
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    def launch(self) -> None:
        """Begin to keep a runner alive."""
        self._task = asyncio.create_task(self._keep_alive(), name=f"supervise {self.spec.name}")

    async def acquire(self) -> Child:
        """Wait for a runner that takes requests.

        Raises:
            AppSetupError: the last start failed; the next is on its way.
            StartTimeoutError: it takes longer than the app's startup_timeout.
        """
        seconds = self.spec.startup_timeout
        try:
            await asyncio.wait_for(self.settled(), seconds)
        except TimeoutError:
            raise StartTimeoutError(self.spec.name, seconds) from None
        if self.state == "ready" and self._child is not None:
            return self._child
        raise self._failure or RunnerUnreachableError(self.spec.name)

    async def settled(self) -> None:
        """Return when the runner is ready, or could not be started."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state != "starting")

    async def renew(self, spec: AppSpec) -> bool:
        """Put a runner of *spec* in the place of the present one, once it is ready.

        Returns False, and changes nothing, when the new one cannot start.
        """
        fresh = await self._start(spec)
        try:
            await fresh.ready()
        except AppError as error:
            _log_failure(spec, error)
            await fresh.remove()
            return False
        old_task, old = self._task, self._child
        self.spec = spec
        if old_task is not None:
            await _cancelled(old_task)
        await self._set("ready", fresh)
        self._task = asyncio.create_task(self._keep_alive(fresh), name=f"supervise {spec.name}")
        if old is not None:
            await old.stop(grace=old.spec.grace)
        return True

    async def stop(self, *, grace: float | None = None) -> None:
        """Stop the runner; requests at work may finish within the app's grace."""
        if self._task is not None:
            await _cancelled(self._task)
        child = self._child
        await self._set("stopped", None)
        if child is not None:
            await child.stop(grace=self.spec.grace if grace is None else grace)

    # --- the loop ---

    async def _keep_alive(self, child: Child | None = None) -> None:
        """Start, wait for the end, start again."""
        failures = 0
        while True:
            if child is None:
                child = await self._started()
            failures = 0 if child is not None else failures + 1
            if child is not None:
                await child.process.wait()
                log.warning("runner ended", extra={"app": self.spec.name, "pid": child.process.pid})
                await self._set("starting", None)
                await child.remove()
                child = None
                self.restarts += 1
            else:
                await asyncio.sleep(backoff_seconds(failures))
                await self._set("starting", None)

    async def _started(self) -> Child | None:
        """Start a runner; None when it could not."""
        child = await self._start(self.spec)
        self._child = child
        try:
            await child.ready()
        except AppError as error:
            self._failure = error
            _log_failure(self.spec, error)
            await self._set("backoff", None)
            await child.remove()
            return None
        await self._set("ready", child)
        return child

    async def _set(self, state: State, child: Child | None) -> None:
        """Change the state and tell who waits for it."""
        async with self._changed:
            self.state, self._child = state, child
            self._changed.notify_all()


def _log_failure(spec: AppSpec, error: AppError) -> None:
    """Write down why a runner could not start."""
    trace = error.traceback if isinstance(error, AppSetupError) else ""
    last = trace.strip().rpartition("\n")[2]
    log.error("app could not start", extra={"app": spec.name, "reason": last or str(error)})


async def _cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
