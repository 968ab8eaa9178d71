"""The queue's requests to the engine's runners, and their answers back into the queue.

An app has two lines. Most requests are in the usual one. A request under which a runner died, or
had no memory left, is a suspect: it may have been the reason, or have been beside it. Suspects come
one at a time, each alone on its runner, so that the next death proves whose it was, takes nobody
along, and leaves the other runners to the others.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress

from towpath.clock import Clock
from towpath.engine.local import LocalEngine
from towpath.errors import (
    DeadlineError,
    LeaseLostError,
    QueueUnavailableError,
    RequestNotFoundError,
    TowpathError,
    UnknownAppError,
)
from towpath.gateway.changes import Changes
from towpath.gateway.journal import Journal
from towpath.gateway.worker import Worker
from towpath.queue.leases import RENEW_SECONDS, Watch
from towpath.queue.outcomes import outcome_of
from towpath.queue.requests import CancelAnswer, Line
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread
from towpath.runner.wire import AppSpec

__all__ = ["Dispatcher"]

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_SWEEP_SECONDS = 60.0
_PAUSE_SECONDS = 1.0
_MOST_AT_ONCE = 256
_FEW = 8


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
        self._name = worker
        self._worker = Worker(queue, engine, journal, changes, clock=clock, name=worker)
        self._retention = retention
        self._news = asyncio.Event()
        self._watch = Watch()
        self._acquiring: dict[tuple[str, Line], set[asyncio.Task[None]]] = defaultdict(set)
        self._loops: set[asyncio.Task[None]] = set()
        self._workers: dict[tuple[str, Line], set[asyncio.Task[None]]] = defaultdict(set)
        self._handing_in: dict[tuple[str, Line], set[asyncio.Task[None]]] = defaultdict(set)
        self._suspects: dict[str, int] = {}
        self._paused: dict[str, float] = {}
        self._is_stopping = False

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
        back = await in_queue_thread(self._queue.take_back_all)(self._name)
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
        await self._worker.stop(grace=grace)
        workers = [task for tasks in self._workers.values() for task in tasks]
        await asyncio.gather(*self._loops, *workers, return_exceptions=True)

    def poke(self) -> None:
        """Look at the queue now."""
        self._news.set()

    def usual(self, app: str) -> tuple[float | None, int]:
        """Return how long an app's requests take, and how many are worked on at once."""
        spec = self._spec(app)
        return self._worker.usual.get(app), _room(spec) if spec is not None else 1

    async def cancel(self, request_id: str) -> CancelAnswer:
        """Take a request back, also one that is worked on.

        Raises:
            RequestNotFoundError: there is none.
        """
        answer = await in_queue_thread(self._queue.cancel)(request_id)
        if answer == "requested":
            self._worker.stop_attempt(request_id)
        self._changes.note(request_id)
        return answer

    # --- loops ---

    async def _steer(self) -> None:
        """Have as many workers as requests wait, within what the runners take."""
        self._news.clear()
        for app, count in (await in_queue_thread(self._queue.waiting)()).items():
            spec = self._spec(app)
            if spec is None or self._paused.get(app, 0) > self._clock():
                continue
            suspects = self._suspects.get(app, 0)
            room = self._room_left(app, spec)
            for _ in range(min(count - suspects - len(self._acquiring[app, "usual"]), room)):
                self._begin(app, spec, "usual")
            if suspects and not self._workers[app, "suspect"]:
                self._begin(app, spec, "suspect")
        # Not wait_for: before CPython 3.12 it loses a cancellation that meets the news, and the
        # server would wait for this loop for ever (https://github.com/python/cpython/issues/81839).
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK_SECONDS):
                await self._news.wait()

    def _room_left(self, app: str, spec: AppSpec) -> int:
        """Return for how many more workers there is room.

        Those that have no place any more do not count, up to a number: what a request still says
        when its code was told to stop is waited for, for as long as the app's grace.
        """
        most = min(_MOST_AT_ONCE, _room(spec))
        handing_in = min(len(self._handing_in[app, "usual"]), max(_FEW, most))
        return most + handing_in - len(self._workers[app, "usual"])

    async def _renew(self) -> None:
        """Say that we are still at what we hold."""
        await asyncio.sleep(RENEW_SECONDS)
        for claim, task in tuple(self._worker.attempts.values()):
            try:
                await in_queue_thread(self._queue.renew)(claim, now=self._clock())
            except LeaseLostError:
                task.cancel()
            except QueueUnavailableError as error:  # the next one may have more luck
                log.warning("a lease was not renewed", extra={"reason": str(error)})

    async def _keep(self) -> None:
        """Do what time brings about, each second."""
        await asyncio.sleep(_TICK_SECONDS)
        if await in_queue_thread(self._queue.promote)(self._clock()):
            self.poke()
        self._suspects = await in_queue_thread(self._queue.suspects)()
        for request_id in await in_queue_thread(self._queue.late)(self._clock()):
            await self._end_late(request_id)
        for request_id in await in_queue_thread(self._queue.stopping)(self._name):
            self._worker.stop_attempt(request_id)
        await self._take_back()
        await self._forget(self._clock())

    async def _take_back(self) -> None:
        """Put back what workers hold that are gone; the clock is asked after the read."""
        beats = await in_queue_thread(self._queue.running)()
        held = self._worker.attempts.values()
        ours = {(claim.request_id, claim.attempt) for claim, _ in held}
        gone = [key for key in self._watch.gone(beats, now=self._clock()) if key not in ours]
        if await in_queue_thread(self._queue.take_back)(gone):
            log.warning("workers are gone", extra={"requests": len(gone)})
            self.poke()

    _swept_at = 0.0

    async def _forget(self, now: float) -> None:
        """Remove what is past its retention, once a minute."""
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        while await in_queue_thread(self._queue.records.forget_before)(now - self._retention):
            pass
        await in_queue_thread(self._queue.sweep_counts)()
        if self._queue.payloads is not None:
            await in_queue_thread(self._queue.payloads.sweep)(self._is_known)

    def _is_known(self, request_id: str) -> bool:
        """Return whether there is such a request."""
        try:
            self._queue.read(request_id)
        except RequestNotFoundError:
            return False
        return True

    async def _end_late(self, request_id: str) -> None:
        """End a request that was to be started by now."""
        with suppress(RequestNotFoundError):
            asked = await in_queue_thread(self._queue.read)(request_id)
            waited = self._clock() - asked.submitted
            error = DeadlineError(round(waited, 1), what="did not start", by_user=True)
            await in_queue_thread(self._queue.end_waiting)(request_id, outcome_of(error))
            self._changes.note(request_id)

    # --- workers ---

    def _begin(self, app: str, spec: AppSpec, line: Line) -> None:
        """Start a worker of an app's *line*."""
        task = asyncio.create_task(self._work(app, spec, line), name=f"work {app}")
        self._workers[app, line].add(task)
        task.add_done_callback(self._workers[app, line].discard)
        task.add_done_callback(self._handing_in[app, line].discard)

    async def _work(self, app: str, spec: AppSpec, line: Line) -> None:
        """Work on an app's requests until none waits, or another worker may have come instead."""
        replaced = self._handing_in[app, line]
        while not self._is_stopping and await self._work_once(app, spec, line):
            self.poke()
            if asyncio.current_task() in replaced:
                return

    async def _work_once(self, app: str, spec: AppSpec, line: Line) -> bool:
        """Work on one request; return whether there was one."""
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - for the type checker
        acquiring = self._acquiring[app, line]
        acquiring.add(me)

        def placed() -> None:
            acquiring.discard(me)
            if line == "suspect":
                self._suspects.pop(app, None)  # counted again in a second

        def released() -> None:
            self._handing_in[app, line].add(me)
            self.poke()

        try:
            return await self._worker.work_once(app, spec, line, placed=placed, released=released)
        except TowpathError as error:
            log.debug("no runner", extra={"app": app, "reason": str(error)})
        except Exception:
            log.exception("a worker failed", extra={"app": app})
        finally:
            acquiring.discard(me)
        self._paused[app] = self._clock() + _PAUSE_SECONDS
        return False

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
