"""One app's runners: as many as it needs, replaced when they die, asked whether they are well."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from towpath.engine.backoff import Backoff
from towpath.engine.care import Care
from towpath.engine.child import Child
from towpath.engine.engine import AppState, AppStatus
from towpath.engine.places import Lease, Places, Runner
from towpath.engine.process import ending
from towpath.engine.scaling import Demand, Plan, Scale, decide
from towpath.engine.tasks import Tasks
from towpath.errors import (
    AppError,
    AppSetupError,
    DeadlineError,
    RunnerUnreachableError,
)
from towpath.net.upstream import is_shortage
from towpath.runner.wire import AppSpec

__all__ = ["Pool"]

log = logging.getLogger(__name__)

_HEALTH_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_TIMED_OUT = 504  # its code may still be at work

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
        self._places = Places(self._now)
        self._backoff = Backoff(self._now)
        self._starting: dict[asyncio.Task[None], Child | None] = {}
        self._tasks = Tasks()
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._is_stopped = False
        self._version = 0
        self._care = Care(
            lambda: self.spec,
            self._now,
            self._tasks,
            retire=self._retire,
            changed=self._news.set,
        )

    # --- what the engine asks ---

    def launch(self) -> None:
        """Begin to keep runners."""
        self._tasks.begin(self._steer())
        self._tasks.begin(self._care.ask_regularly(self._here, self._health_seconds))

    def acquire(self, hint: str | None, *, alone: bool = False) -> Lease:
        """Wait for a place; see `Engine.acquire`."""
        return Lease(partial(self._enter, hint, alone=alone), self._give_back, self._places.give)

    async def _enter(self, hint: str | None, *, alone: bool) -> Runner:
        """Take a place, unless there are no runners and none can be started now."""
        if not self._here() and self._backoff.is_on:
            raise self.failure or RunnerUnreachableError(self.spec.name)
        return await self._taken(hint, alone=alone)

    async def settled(self) -> None:
        """Return when the first runner is ready, could not be started, or is not wanted yet."""
        await self._settled.wait()

    @property
    def state(self) -> AppState:
        """Return how the app is."""
        if self._is_stopped:
            return "stopped"
        if self._here():
            return "ready"
        if self._backoff.is_on:
            return "backoff"
        asleep = self._scale.least == 0 and not self._starting and not self._places.waiting
        return "ready" if asleep else "starting"

    def status(self) -> AppStatus:
        """Return how the runners are."""
        runners = [runner for runner in self._places.runners if not runner.is_spent]
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

    async def renew(self, spec: AppSpec) -> None:
        """Put runners of *spec* in the place of the present ones, once one is ready.

        Raises:
            AppError: it cannot start; nothing is changed.
        """
        async with self._renewing:  # else the older of two could replace the newer
            fresh = await self._start(spec)
            try:
                await fresh.ready()
            except BaseException as error:
                await fresh.remove()
                if isinstance(error, AppError):
                    _log_failure(spec, error)
                raise
            if self._is_stopped:
                await fresh.stop(grace=0)
                return
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
        for task in self._starting:
            task.cancel()
        await asyncio.gather(self._tasks.stop(), *self._starting, return_exceptions=True)
        seconds = self.spec.grace if grace is None else grace
        self._places.runners.clear()
        await asyncio.gather(*(child.stop(grace=seconds) for child in children))

    # --- places ---

    async def _taken(self, hint: str | None, *, alone: bool) -> Runner:
        """Take a place, within the time that the app gives its requests to start."""
        runner = None if alone else self._places.take_now(hint)
        if runner is not None:
            if self.spec.buffer:
                self._news.set()
            return runner
        self._news.set()
        seconds = self.spec.request_start_timeout
        try:
            async with asyncio.timeout(seconds) as timer:
                return await self._places.take(hint, alone=alone)
        except TimeoutError:
            if not timer.expired():
                raise
            raise DeadlineError(seconds or 0, what="did not start", by_user=False) from None

    def _give_back(self, lease: Lease) -> None:
        """Take a place back: at once, or when the runner says that the request is over."""
        runner, request_id = lease.runner, lease.request_id
        if request_id is None or lease.status not in {None, _TIMED_OUT}:
            runner.drop(request_id or "")
            self._free(runner)
        else:
            runner.unended += 1  # now, not when the task begins: nobody comes in between
            self._tasks.begin(self._free_later(runner, request_id))
        self._care.obey(lease)

    def _free(self, runner: Runner) -> None:
        if runner.served:
            self._backoff.note_answer()
        self._places.release(runner)
        if runner.leaving and not runner.taken:
            self._tasks.begin(self._dismissed(runner))

    async def _free_later(self, runner: Runner, request_id: str) -> None:
        """Free a place once its request is over; a runner that is gone died with its requests."""
        await self._care.until_over(runner, request_id)
        if runner.child.process.returncode is None:
            runner.requests.discard(request_id)
        runner.long.discard(request_id)
        self._free(runner)
        self._news.set()

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
                async with asyncio.timeout(again):  # `wait_for` of Python 3.11 may lose a cancel
                    await self._news.wait()

    def _plan(self) -> Plan:
        """Ask how many runners are wanted; none are started while starts fail."""
        now, runners = self._now(), self._here()
        demand = Demand(
            busy=sum(runner.busy for runner in runners),
            waits=[now - waiter.since for waiter in self._places.waiting],
            starting=len(self._starting),
            ready=len(runners),
            idle=[now - runner.idle_since for runner in runners if not runner.taken],
            ending=len(self._places.runners) - len(runners),
            spares=self._backoff.spares,
        )
        plan = decide(self._scale, demand)
        if plan.start and self._backoff.is_on:
            return Plan(0, plan.stop, max(0.01, self._backoff.left))
        return plan

    def _here(self) -> list[Runner]:
        """Return the runners that can be counted on."""
        return [each for each in self._places.runners if not (each.leaving or each.is_spent)]

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
            except Exception:
                await child.remove()
                raise
            if version == self._version:
                self._welcome(child)
            else:
                self._tasks.begin(child.stop(grace=self.spec.grace))
        except AppError as error:
            self._note_failure(error)
        except OSError as error:
            self._note_refusal(error)
        except Exception as error:
            log.exception("a start failed", extra={"app": self.spec.name})
            self._note_failure(AppSetupError(self.spec.name, traceback=str(error)))
        finally:
            self._starting.pop(task, None)
            self._news.set()

    def _note_refusal(self, error: OSError) -> None:
        """Note that the system refused a start: what this server lacks is not the app's fault."""
        if not is_shortage(error):
            self._note_failure(AppSetupError(self.spec.name, traceback=str(error)))
            return
        log.warning("no runner can be started now", extra={"reason": str(error)})
        self._backoff.note_shortage()

    def _note_failure(self, error: AppError) -> None:
        """Wait longer before the next start; tell who waits, unless another runner works."""
        self.failure = error
        self._backoff.note_failed_start()
        _log_failure(self.spec, error)
        self._settled.set()
        if not self._here():
            self._places.disappoint(error)

    def _welcome(self, child: Child) -> None:
        """Give requests to a runner that is ready."""
        now = self._now()
        runner = Runner(child, self._scale.slots, now, idle_since=now)
        self._places.runners.append(runner)
        self.failure = None
        self._backoff.note_start()
        self._tasks.begin(self._mourn(runner))
        self._places.give()
        self._settled.set()
        self._news.set()

    async def _mourn(self, runner: Runner) -> None:
        """Clean up when a runner ends, and have another one started."""
        status = await runner.child.process.wait()
        if runner in self._places.runners:
            self._places.runners.remove(runner)
        if not runner.leaving:
            said = {"app": self.spec.name, "pid": runner.child.process.pid}
            said |= {"status": status, "reason": _reason(runner.child, status)}
            log.warning("runner ended", extra=said)
            self.restarts += 1
            self._note_death(runner)
        self._news.set()
        self._places.give()  # a place that was kept on it is looked for elsewhere
        await runner.child.remove()

    def _note_death(self, runner: Runner) -> None:
        """Charge a death to the requests at work, or to the app where there was none."""
        if runner.requests:
            self._backoff.note_death_at_work()
            return
        self._backoff.note_idle_death(runner.since, runner.served)
        if self.failure is None and self._backoff.young_deaths > 1:
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
                self._tasks.begin(self._dismissed(runner))
        self._news.set()

    async def _dismissed(self, runner: Runner) -> None:
        """Stop a runner that has nothing to do."""
        await runner.child.stop(grace=self.spec.grace)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _reason(child: Child, status: int) -> str:
    """Say how a runner has ended; the system kills who takes its last memory."""
    said = f"it ended with {ending(status)}"
    if status != -signal.SIGKILL:
        return said
    return f"{said}, by this server" if child.is_killed else f"{said} (perhaps out of memory)"


def _log_failure(spec: AppSpec, error: AppError) -> None:
    """Write down why a runner could not start."""
    trace = error.traceback if isinstance(error, AppSetupError) else ""
    last = trace.strip().rpartition("\n")[2]
    log.error("app could not start", extra={"app": spec.name, "reason": last or str(error)})
