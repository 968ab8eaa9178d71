"""One app's runners: as many as it needs, replaced when they die, asked whether they are well."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial

from towpath.engine.child import Child
from towpath.engine.engine import AppState, AppStatus
from towpath.engine.health import ended, is_well
from towpath.engine.places import Lease, Places, Runner
from towpath.engine.scaling import Demand, Plan, Scale, backoff_seconds, decide
from towpath.errors import (
    AppError,
    AppSetupError,
    DeadlineError,
    RunnerUnreachableError,
)
from towpath.runner.wire import AppSpec

__all__ = ["Pool"]

log = logging.getLogger(__name__)

_HEALTH_SECONDS = 10.0
_SETTLED_SECONDS = 10.0  # a runner that lived as long has started well
_UNAVAILABLE = 503
_SERVER_ERROR = 500
_LOOK_SECONDS = 1.0
_TIMED_OUT = 504  # its code may still be at work
_SPARE_SECONDS = 2.0  # beyond a runner's own grace, before it is killed from outside

Starter = Callable[[AppSpec], Awaitable[Child]]


class Pool:
    """The runners of one app.

    Args:
        spec: the app.
        start: starts a runner of a spec.
        scale: returns what is allowed for a spec.
        health_seconds: between two questions whether a runner is well.
    """

    def __init__(
        self,
        spec: AppSpec,
        start: Starter,
        scale: Callable[[AppSpec], Scale],
        *,
        health_seconds: float = _HEALTH_SECONDS,
    ) -> None:
        self.spec = spec
        self.restarts = 0
        self.failure: AppError | None = None
        self._start = start
        self._scale_of = scale
        self._health_seconds = health_seconds
        self._places = Places()
        self._starting: dict[asyncio.Task[None], Child | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._failures = 0
        self._retry_at = 0.0
        self._is_stopped = False
        self._version = 0

    # --- what the engine asks ---

    def launch(self) -> None:
        """Begin to keep runners."""
        self._spawn(self._steer())
        self._spawn(self._ask_regularly())

    def acquire(self, hint: str | None) -> Lease:
        """Wait for a place; see `Engine.acquire`."""
        return Lease(partial(self._enter, hint), self._give_back, self._places.give)

    async def _enter(self, hint: str | None) -> Runner:
        """Take a place, unless there are no runners and none can be started now."""
        if not self._places.runners and self._is_backing_off():
            raise self.failure or RunnerUnreachableError(self.spec.name)
        return await self._taken(hint)

    async def settled(self) -> None:
        """Return when the first runner is ready, could not be started, or is not wanted yet."""
        await self._settled.wait()

    @property
    def state(self) -> AppState:
        """Return how the app is."""
        if self._is_stopped:
            return "stopped"
        if any(not runner.leaving for runner in self._places.runners):
            return "ready"
        if self._is_backing_off():
            return "backoff"
        asleep = self._scale.least == 0 and not self._starting and not self._places.waiting
        return "ready" if asleep else "starting"

    def status(self) -> AppStatus:
        """Return how the runners are."""
        runners = self._places.runners
        trace = self.failure.traceback if isinstance(self.failure, AppSetupError) else ""
        return AppStatus(
            state=self.state,
            starting=len(self._starting),
            idle=sum(not runner.taken for runner in runners),
            busy=sum(bool(runner.taken) for runner in runners),
            waiting=len(self._places.waiting),
            restarts=self.restarts,
            failure=(trace or str(self.failure)) if self.failure else None,
        )

    def holders(self, child: Child) -> list[str]:
        """Return the requests that a runner works on."""
        return [
            request_id
            for runner in self._places.runners
            if runner.child is child
            for request_id in runner.requests
        ]

    async def renew(self, spec: AppSpec) -> None:
        """Put runners of *spec* in the place of the present ones, once one is ready.

        Raises:
            AppError: it cannot start; nothing is changed.
        """
        fresh = await self._start(spec)
        try:
            await fresh.ready()
        except AppError as error:
            _log_failure(spec, error)
            await fresh.remove()
            raise
        self.spec, self._version = spec, self._version + 1
        old = list(self._places.runners)
        self._welcome(fresh)
        for runner in old:
            self._retire(runner)

    async def stop(self, *, grace: float | None = None) -> None:
        """Stop the runners; requests at work may finish within the app's grace."""
        self._is_stopped = True
        self._settled.set()
        self._places.disappoint(RunnerUnreachableError(self.spec.name))
        children = [runner.child for runner in self._places.runners]
        children += [child for child in self._starting.values() if child is not None]
        for task in (*self._tasks, *self._starting):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._starting, return_exceptions=True)
        seconds = self.spec.grace if grace is None else grace
        self._places.runners.clear()
        await asyncio.gather(*(child.stop(grace=seconds) for child in children))

    # --- places ---

    async def _taken(self, hint: str | None) -> Runner:
        """Take a place, within the time that the app gives its requests to start."""
        runner = self._places.take_now(hint)
        if runner is not None:
            if self.spec.buffer:
                self._news.set()
            return runner
        self._news.set()
        seconds = self.spec.request_start_timeout
        if seconds is None:
            return await self._places.take(hint, self._now())
        try:
            return await asyncio.wait_for(self._places.take(hint, self._now()), seconds)
        except TimeoutError:
            raise DeadlineError(seconds, what="did not start", by_user=False) from None

    def _give_back(self, lease: Lease) -> None:
        """Take a place back: at once, or when the runner says that the request is over."""
        runner, request_id = lease.runner, lease.request_id
        if request_id is None or lease.status not in {None, _TIMED_OUT}:
            self._free(runner, request_id)
        else:
            self._spawn(self._until_over(runner, request_id))
        if lease.status is not None and lease.status >= _SERVER_ERROR:
            self._spawn(self._doubt(runner, lease.status))

    def _free(self, runner: Runner, request_id: str | None) -> None:
        if request_id is not None:
            runner.drop(request_id)
        if runner.served:
            self._failures = 0
        self._places.release(runner, self._now())
        if runner.leaving and not runner.taken:
            self._spawn(self._dismissed(runner))

    async def _until_over(self, runner: Runner, request_id: str) -> None:
        """Wait until an abandoned request is over; kill a runner that cannot end it."""
        seconds = self.spec.grace * 2 + _SPARE_SECONDS
        word = await ended(runner.child.upstream, request_id, seconds=seconds)
        if word == "stuck":
            runner.child.kill()
        if word != "over":
            runner.is_lost = True
            with suppress(TimeoutError):
                await asyncio.wait_for(runner.child.process.wait(), _SPARE_SECONDS)
        self._free(runner, request_id)

    # --- starting and stopping ---

    @property
    def _scale(self) -> Scale:
        return self._scale_of(self.spec)

    async def _steer(self) -> None:
        """Start and stop runners as there is work."""
        while True:
            self._news.clear()
            plan = self._plan()
            for _ in range(plan.start):
                self._begin_start()
            self._stop_idle(plan.stop)
            if not plan.start and not self._starting:
                self._settled.set()
            again = plan.again
            if len(self._places.runners) > self._scale.least:  # one may have nothing to do
                again = min(again or _LOOK_SECONDS, _LOOK_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), again)

    def _plan(self) -> Plan:
        """Ask how many runners are wanted; none are started while starts fail."""
        now, runners = self._now(), self._here()
        demand = Demand(
            busy=sum(runner.at_work for runner in runners),
            waits=[now - waiter.since for waiter in self._places.waiting],
            starting=len(self._starting),
            ready=len(runners),
            idle=[now - runner.idle_since for runner in runners if not runner.taken],
        )
        plan = decide(self._scale, demand)
        if plan.start and self._is_backing_off():
            return Plan(0, plan.stop, max(0.01, self._retry_at - now))
        return plan

    def _here(self) -> list[Runner]:
        return [runner for runner in self._places.runners if not runner.leaving]

    def _begin_start(self) -> None:
        """Start a runner, in a task of its own."""
        task = asyncio.create_task(self._bring_up(), name=f"start {self.spec.name}")
        self._starting[task] = None

    async def _bring_up(self) -> None:
        """Start one runner; note why it failed."""
        task, version = asyncio.current_task(), self._version
        assert task is not None  # noqa: S101 - for the type checker
        try:
            child = self._starting[task] = await self._start(self.spec)
            try:
                await child.ready()
            except AppError as error:
                await child.remove()
                self._note_failure(error)
                return
            if version == self._version:
                self._welcome(child)
            else:
                self._spawn(child.stop(grace=self.spec.grace))
        except (AppError, OSError) as error:
            self._note_failure(_as_ours(error, self.spec.name))
        finally:
            self._starting.pop(task, None)
            self._news.set()

    def _note_failure(self, error: AppError) -> None:
        """Wait longer before the next start; tell who waits, unless another runner works."""
        self.failure = error
        self._failures += 1
        self._retry_at = self._now() + backoff_seconds(self._failures)
        _log_failure(self.spec, error)
        self._settled.set()
        if not self._places.runners:
            self._places.disappoint(error)

    def _welcome(self, child: Child) -> None:
        """Give requests to a runner that is ready."""
        now = self._now()
        runner = Runner(child, self._scale.slots, now, idle_since=now)
        self._places.runners.append(runner)
        self.failure = None
        self._retry_at = 0.0
        self._spawn(self._mourn(runner))
        self._places.give()
        self._settled.set()
        self._news.set()

    async def _mourn(self, runner: Runner) -> None:
        """Clean up when a runner ends, and have another one started."""
        await runner.child.process.wait()
        if runner in self._places.runners:
            self._places.runners.remove(runner)
        if not runner.leaving:
            pid = runner.child.process.pid
            log.warning("runner ended", extra={"app": self.spec.name, "pid": pid})
            self.restarts += 1
            self._note_death(runner)
        await runner.child.remove()
        self._news.set()

    def _note_death(self, runner: Runner) -> None:
        """A runner that died young and served nobody is a failed start; the first is forgiven."""
        if runner.served or self._now() - runner.since > _SETTLED_SECONDS:
            self._failures = 0
            return
        self._failures += 1
        self._retry_at = self._now() + backoff_seconds(self._failures - 1)
        if self.failure is None and self._failures > 1:
            self.failure = RunnerUnreachableError(self.spec.name)

    def _stop_idle(self, count: int) -> None:
        """Stop so many runners, those that are idle longest."""
        idle = sorted((r for r in self._here() if not r.taken), key=lambda r: r.idle_since)
        for runner in idle[:count]:
            self._retire(runner)

    def _retire(self, runner: Runner) -> None:
        """Give a runner no more requests; it ends when it has none."""
        if not runner.leaving:
            runner.leaving = True
            if not runner.taken:
                self._spawn(self._dismissed(runner))
        self._news.set()

    async def _dismissed(self, runner: Runner) -> None:
        """Stop a runner that has nothing to do."""
        await runner.child.stop(grace=self.spec.grace)

    # --- health ---

    async def _ask_regularly(self) -> None:
        """Ask every runner now and then whether it is well."""
        while True:
            await asyncio.sleep(self._health_seconds)
            health = self.spec.health
            for runner in self._here():
                if health.regularly if health else not runner.taken:
                    self._spawn(self._ask(runner))

    async def _doubt(self, runner: Runner, status: int) -> None:
        """After a failure: replace a runner that says 503, ask the others."""
        if status == _UNAVAILABLE:
            self._retire(runner)
        else:
            await self._ask(runner)

    async def _ask(self, runner: Runner) -> None:
        """Ask one runner; replace it when it fails too often."""
        health = self.spec.health
        if await is_well(runner.child.upstream, health):
            runner.failures = 0
            return
        young = health is not None and self._now() - runner.since < health.start_period
        runner.failures += 0 if young or runner.leaving else 1
        if runner.failures >= (health.threshold if health else 3):
            log.warning("runner is not well", extra={"app": self.spec.name})
            runner.child.kill()

    # --- pieces ---

    def _is_backing_off(self) -> bool:
        return self._failures > 0 and self._now() < self._retry_at

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(_forget, self._tasks))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _forget(tasks: set["asyncio.Task[None]"], task: "asyncio.Task[None]") -> None:
    """Drop a task that is over; what it raised is written down."""
    tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("engine task failed", exc_info=error)


def _as_ours(error: AppError | OSError, app: str) -> AppError:
    """Return what the system refused as one of our errors."""
    return error if isinstance(error, AppError) else AppSetupError(app, traceback=str(error))


def _log_failure(spec: AppSpec, error: AppError) -> None:
    """Write down why a runner could not start."""
    trace = error.traceback if isinstance(error, AppSetupError) else ""
    last = trace.strip().rpartition("\n")[2]
    log.error("app could not start", extra={"app": spec.name, "reason": last or str(error)})
