"""Runners that may be ill: asked, withdrawn from service, replaced."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from towpath.clock import Clock
from towpath.engine.health import ended, health_of
from towpath.engine.places import Lease, Runner
from towpath.engine.tasks import Tasks
from towpath.runner.wire import AppSpec

__all__ = ["Care"]

log = logging.getLogger(__name__)

_SERVER_ERROR = 500
_THRESHOLD = 3
_SOON_SECONDS = 0.5
_SPARE_SECONDS = 2.0  # beyond a runner's own grace, before it is killed from outside


class Care:
    """Looks after the runners of one app.

    Args:
        spec: returns the app's spec.
        clock: the loop's.
        tasks: what runs meanwhile.
        retire: gives a runner no more requests; it ends when it has none.
        changed: called when there are more or fewer runners to count on.
    """

    def __init__(
        self,
        spec: Callable[[], AppSpec],
        clock: Clock,
        tasks: Tasks,
        *,
        retire: Callable[[Runner], None],
        changed: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._tasks = tasks
        self._retire = retire
        self._changed = changed

    def obey(self, lease: Lease) -> None:
        """Do with a runner what its answer asks for; doubt it after a failure."""
        if lease.status is None:
            return
        if lease.orders.stop:
            self._retire(lease.runner)
        elif lease.orders.check:
            self._tasks.begin(self.ask_strictly(lease.runner))
        elif lease.status >= _SERVER_ERROR:
            self._tasks.begin(self.ask(lease.runner))

    async def until_over(self, runner: Runner, request_id: str) -> None:
        """Wait until one of a runner's unended requests is over; kill one that cannot end it.

        Until then the runner gets nothing new: its loop may be blocked, or its process about to
        end because code goes on past its time. When that is not soon, it counts for nothing, so
        that another one is started in its place.
        """
        upstream, grace = runner.child.upstream, self._spec().grace
        try:
            word = await ended(upstream, request_id, seconds=_SOON_SECONDS)
            if word != "over":
                runner.is_spent = True
                self._changed()
            if word == "stuck":
                word = await ended(upstream, request_id, seconds=grace * 2 + _SPARE_SECONDS)
            if word != "over":
                await self._end(runner, at_once=word == "stuck")
        finally:
            runner.unended -= 1
            if runner.unended == 0 and runner.child.process.returncode is None:
                runner.is_spent = False

    async def _end(self, runner: Runner, *, at_once: bool) -> None:
        """Wait for a runner's end; kill one that is stuck, or that lives and cannot be reached."""
        if not at_once:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SPARE_SECONDS):
                    await runner.child.process.wait()
        if runner.child.process.returncode is None:
            log.warning("runner is stuck", extra=self._facts(runner))
            runner.child.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SPARE_SECONDS):
                    await runner.child.process.wait()

    async def ask_regularly(self, runners: Callable[[], list[Runner]], seconds: float) -> None:
        """Ask every runner now and then whether it is well."""
        while True:
            await asyncio.sleep(seconds)
            health = self._spec().health
            for runner in runners():
                if health.regularly if health else not runner.taken:
                    self._tasks.begin(self.ask(runner))

    async def ask(self, runner: Runner) -> None:
        """Ask one runner; replace it when it fails too often, or cannot be reached at all."""
        health = self._spec().health
        word = await health_of(runner.child.upstream, health)
        if word == "well":
            runner.failures = 0
        if word in {"well", "unasked"} or runner.leaving:
            return
        young = health is not None and self._clock() - runner.since < health.start_period
        runner.failures += 0 if young else 1
        if word == "unreachable" or runner.failures >= (health.threshold if health else _THRESHOLD):
            self._kill(runner)

    async def ask_strictly(self, runner: Runner) -> None:
        """Ask one runner because its app wants that; replace it at its first failure."""
        word = await health_of(runner.child.upstream, self._spec().health)
        if word in {"ill", "unreachable"}:
            self._kill(runner)

    def _kill(self, runner: Runner) -> None:
        log.warning("runner is not well", extra=self._facts(runner))
        runner.child.kill()

    def _facts(self, runner: Runner) -> dict[str, object]:
        return {"app": self._spec().name, "pid": runner.child.process.pid}
