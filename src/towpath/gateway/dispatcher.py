"""The queue's requests to the engine's runners, and their answers back into the queue."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress

from towpath.clock import Clock
from towpath.concurrency import in_thread
from towpath.engine.engine import RunnerLease
from towpath.engine.local import LocalEngine
from towpath.errors import (
    AppError,
    DeadlineError,
    LeaseLostError,
    QueueUnavailableError,
    RequestCancelledError,
    RequestNotFoundError,
    TowpathError,
    UnknownAppError,
)
from towpath.gateway.attempts import attempt
from towpath.gateway.changes import Changes
from towpath.gateway.journal import Journal
from towpath.queue.leases import MOST_TRIES, RENEW_SECONDS, Watch
from towpath.queue.outcomes import outcome_of
from towpath.queue.requests import CancelAnswer, Claim, Outcome
from towpath.queue.store import RequestQueue
from towpath.runner.wire import AppSpec

__all__ = ["Dispatcher"]

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 60.0
_PAUSE_SECONDS = 1.0
_MOST_AT_ONCE = 256


class Dispatcher:
    """Takes requests out of the queue as runners have room for them.

    A request stays in line until a runner has a place for it: it can be cancelled, overtaken and
    counted until then.

    Args:
        queue: where requests wait.
        engine: where runners are.
        journal: what requests write.
        changes: who is told of changes.
        clock: a steady one.
        worker: the name of this server, the same after a restart.
        retention: seconds that answers are kept.
    """

    def __init__(  # noqa: PLR0913 - it joins as many parts
        self,
        queue: RequestQueue,
        engine: LocalEngine,
        journal: Journal,
        changes: Changes,
        *,
        clock: Clock,
        worker: str,
        retention: float,
    ) -> None:
        self._queue = queue
        self._engine = engine
        self._journal = journal
        self._changes = changes
        self._clock = clock
        self._worker = worker
        self._retention = retention
        self._news = asyncio.Event()
        self._watch = Watch()
        self._acquiring: dict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._attempts: dict[str, tuple[Claim, asyncio.Task[Outcome]]] = {}
        self._cancelled: set[str] = set()
        self._loops: set[asyncio.Task[None]] = set()
        self._workers: dict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._paused: dict[str, float] = {}
        self._is_stopping = False
        self._usual: dict[str, float] = {}

    # --- what the server asks ---

    async def start(self) -> None:
        """Put back what this server held when it was killed, and begin; later if need be."""
        try:
            await self._begin_loops()
        except QueueUnavailableError:
            self._loops.add(asyncio.create_task(self._begin_later(), name="queue opens later"))

    async def _begin_later(self) -> None:
        """Begin once the queue can be used; what opens it has told the operator why it cannot."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            with suppress(QueueUnavailableError):
                await self._begin_loops()
                return

    async def _begin_loops(self) -> None:
        """Put back what this server held when it was killed, and begin."""
        back = await in_thread(self._queue.take_back_all)(self._worker)
        if back:
            log.info("requests were put back", extra={"requests": back})
        for loop in (self._steer, self._renew, self._keep, self._journal.keep_flushing):
            self._loops.add(asyncio.create_task(_for_ever(loop), name=f"queue {loop.__name__}"))

    async def stop(self, *, grace: float) -> None:
        """Take no more requests; those at work may finish within *grace*, and wait again after."""
        self._is_stopping = True
        idle = [task for tasks in self._acquiring.values() for task in tasks]
        for task in (*self._loops, *idle):
            task.cancel()
        works = [work for _, work in self._attempts.values()]
        if works:
            await asyncio.wait(works, timeout=grace)
        for work in works:
            work.cancel()
        workers = [task for tasks in self._workers.values() for task in tasks]
        await asyncio.gather(*self._loops, *workers, return_exceptions=True)

    def poke(self) -> None:
        """Look at the queue now."""
        self._news.set()

    def usual(self, app: str) -> tuple[float | None, int]:
        """Return how long an app's requests take, and how many are worked on at once."""
        spec = self._spec(app)
        return self._usual.get(app), _room(spec) if spec is not None else 1

    async def cancel(self, request_id: str) -> CancelAnswer:
        """Take a request back, also one that is worked on.

        Raises:
            RequestNotFoundError: there is none.
        """
        answer = await in_thread(self._queue.cancel)(request_id)
        if answer == "requested":
            self._stop_attempt(request_id)
        self._changes.note(request_id)
        return answer

    # --- loops ---

    async def _steer(self) -> None:
        """Have as many workers as requests wait, within what the runners take."""
        self._news.clear()
        for app, count in (await in_thread(self._queue.waiting)()).items():
            spec = self._spec(app)
            if spec is None or self._paused.get(app, 0) > self._clock():
                continue
            room = min(_MOST_AT_ONCE, _room(spec)) - len(self._workers[app])
            for _ in range(min(count - len(self._acquiring[app]), room)):
                self._begin(app, spec)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _TICK_SECONDS)

    async def _renew(self) -> None:
        """Say that we are still at what we hold."""
        await asyncio.sleep(RENEW_SECONDS)
        now = self._clock()
        for claim, task in tuple(self._attempts.values()):
            try:
                await in_thread(self._queue.renew)(claim, now=now)
            except LeaseLostError:
                task.cancel()

    async def _keep(self) -> None:
        """Do what time brings about, each second."""
        await asyncio.sleep(_TICK_SECONDS)
        now = self._clock()
        if await in_thread(self._queue.promote)(now):
            self.poke()
        for request_id in await in_thread(self._queue.late)(now):
            await self._end_late(request_id)
        for request_id in await in_thread(self._queue.stopping)(self._worker):
            self._stop_attempt(request_id)
        beats = await in_thread(self._queue.running)()
        ours = {(claim.request_id, claim.attempt) for claim, _ in self._attempts.values()}
        gone = [key for key in self._watch.gone(beats, now=now) if key not in ours]
        if await in_thread(self._queue.take_back)(gone):
            log.warning("workers are gone", extra={"requests": len(gone)})
            self.poke()
        await self._forget(now)

    _swept_at = 0.0

    async def _forget(self, now: float) -> None:
        """Remove what is past its retention, once a minute."""
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        while await in_thread(self._queue.records.forget_before)(now - self._retention):
            pass
        await in_thread(self._queue.sweep_counts)()

    async def _end_late(self, request_id: str) -> None:
        """End a request that was to be started by now."""
        with suppress(RequestNotFoundError):
            asked = await in_thread(self._queue.read)(request_id)
            waited = self._clock() - asked.submitted
            error = DeadlineError(round(waited, 1), what="did not start", by_user=True)
            await in_thread(self._queue.end_waiting)(request_id, outcome_of(error))
            self._changes.note(request_id)

    # --- workers ---

    def _begin(self, app: str, spec: AppSpec) -> None:
        """Start a worker of *app*."""
        task = asyncio.create_task(self._work(app, spec), name=f"work {app}")
        self._workers[app].add(task)
        task.add_done_callback(self._workers[app].discard)

    async def _work(self, app: str, spec: AppSpec) -> None:
        """Work on an app's requests until none waits."""
        while not self._is_stopping and await self._work_once(app, spec):
            pass

    async def _work_once(self, app: str, spec: AppSpec) -> bool:
        """Work on one request; return whether there was one."""
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - for the type checker
        self._acquiring[app].add(me)
        try:
            hint = await in_thread(self._queue.hint)(app)
            async with self._engine.acquire(spec.name, hint=hint) as lease:
                claim = await self._claim(app)
                self._acquiring[app].discard(me)
                if claim is None:
                    return False
                await self._run(claim, lease, spec)
                return True
        except (AppError, UnknownAppError, QueueUnavailableError) as error:
            log.debug("no runner", extra={"app": app, "reason": str(error)})
            self._paused[app] = self._clock() + _PAUSE_SECONDS
            return False
        finally:
            self._acquiring[app].discard(me)

    async def _claim(self, app: str) -> Claim | None:
        """Take the app's first request; nothing interrupts that half way."""
        claim = in_thread(self._queue.claim)([app], worker=self._worker, now=self._clock())
        taking = asyncio.ensure_future(claim)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taken = await taking
            if taken is not None:
                await in_thread(self._queue.finish)(taken, Outcome("given up"))
            raise

    async def _run(self, claim: Claim, lease: RunnerLease, spec: AppSpec) -> None:
        """Work on one request, in a task that can be cancelled by itself."""
        await self._journal.open(claim)
        began = self._clock()
        work = asyncio.create_task(attempt(claim, lease, spec), name=f"attempt {claim.request_id}")
        self._attempts[claim.request_id] = (claim, work)
        self._changes.note(claim.request_id)
        await asyncio.wait({work})
        outcome = self._outcome(claim, work)
        if outcome.kind == "ok":
            took, before = self._clock() - began, self._usual.get(claim.app)
            self._usual[claim.app] = took if before is None else 0.8 * before + 0.2 * took
        await self._hand_in(claim, outcome)

    def _outcome(self, claim: Claim, work: "asyncio.Task[Outcome]") -> Outcome:
        """Return what came of an attempt: cancelled by its caller, or by our own end."""
        if not work.cancelled():
            error = work.exception()
            if error is None:
                return work.result()
            log.error("attempt failed", exc_info=error, extra={"request_id": claim.request_id})
            again = claim.retries and claim.tries < MOST_TRIES  # the fault is ours
            return Outcome("retry", delay=_PAUSE_SECONDS) if again else outcome_of(error)
        if claim.request_id in self._cancelled:
            return outcome_of(RequestCancelledError())
        return Outcome("given up")

    async def _hand_in(self, claim: Claim, outcome: Outcome) -> None:
        """Write down what came of an attempt, however long that takes."""
        request_id = claim.request_id
        await self._journal.close(request_id, was_heard=outcome.kind in {"ok", "error"})
        await self._insist(lambda: in_thread(self._queue.finish)(claim, outcome))
        self._attempts.pop(request_id, None)
        self._cancelled.discard(request_id)
        self._changes.note(request_id)
        self.poke()

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write to the queue; again while its disk is full or its server away."""
        while True:
            try:
                await write()
            except QueueUnavailableError as error:
                log.error("the queue cannot be written to", extra={"reason": str(error)})  # noqa: TRY400
                await asyncio.sleep(_PAUSE_SECONDS)
            except TowpathError as error:  # another worker has it, or it was removed
                log.info("an attempt came too late", extra={"reason": str(error)})
                return
            else:
                return

    def _stop_attempt(self, request_id: str) -> None:
        """Stop what we do for a request."""
        held = self._attempts.get(request_id)
        if held is not None and request_id not in self._cancelled:
            self._cancelled.add(request_id)
            held[1].cancel()

    def _spec(self, app: str) -> AppSpec | None:
        """Return the spec of `owner/name`, None where it is not served."""
        owner, _, name = app.partition("/")
        try:
            return self._engine.spec(owner, name)
        except UnknownAppError:
            return None


def _room(spec: AppSpec) -> int:
    """Return how many requests of an app are worked on at once at most."""
    return spec.slots * max(1, spec.max_runners or 1, spec.min_runners)


async def _for_ever(step: Callable[[], Coroutine[None, None, None]]) -> None:
    """Repeat *step*; what goes wrong in it is written down, and tried again."""
    while True:
        try:
            await step()
        except QueueUnavailableError as error:
            log.error("the queue does not answer", extra={"reason": str(error)})  # noqa: TRY400
            await asyncio.sleep(_PAUSE_SECONDS)
        except Exception:
            log.exception("the queue's loop failed")
            await asyncio.sleep(_PAUSE_SECONDS)
