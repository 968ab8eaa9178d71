"""Work on one queued request: a place, a claim, an attempt, and what came of it written down.

Two things must never happen here. A claim must not be stranded: whatever goes wrong, the request is
ended or given back, and as the last resort its lease runs out. And a runner's place must not wait
for the database: direct calls need the place and no database, so that the claim has a short time,
and the place is given back before the answer is written down.
"""

import asyncio
import logging
from collections.abc import Callable

from towpath.app.retrying import MOST_TRIES
from towpath.clock import Clock
from towpath.engine.engine import RunnerLease
from towpath.engine.local import LocalEngine
from towpath.engine.tasks import Tasks
from towpath.errors import QueueUnavailableError, RequestCancelledError, TowpathError
from towpath.gateway.attempts import attempt, failed, judged
from towpath.gateway.changes import Changes
from towpath.gateway.filed import forget_answer, forget_body
from towpath.gateway.journal import Journal
from towpath.queue.outcomes import outcome_of
from towpath.queue.requests import Claim, Line, Outcome
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread
from towpath.runner.wire import AppSpec

__all__ = ["Worker"]

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_TIMED_OUT = 504
_KILL_SECONDS = 2.0  # as the engine has it
_PLACE_SECONDS = 2.0  # that a place waits for the database
_SLOW = "it does not answer in time"


class Worker:
    """Works on requests; any number of calls of `work_once` may run at once.

    Args:
        queue: where requests wait.
        engine: where runners are.
        journal: what requests write.
        changes: who is told of changes.
        clock: a steady one.
        name: of this server, the same after a restart.
    """

    def __init__(
        self,
        queue: RequestQueue,
        engine: LocalEngine,
        journal: Journal,
        changes: Changes,
        *,
        clock: Clock,
        name: str,
    ) -> None:
        self.attempts: dict[str, tuple[Claim, asyncio.Task[Outcome]]] = {}
        self.usual: dict[str, float] = {}
        self._queue = queue
        self._engine = engine
        self._journal = journal
        self._changes = changes
        self._clock = clock
        self._name = name
        self._cancelled: set[str] = set()
        self._is_stopping = False
        self._returns = Tasks()

    async def work_once(
        self,
        app: str,
        spec: AppSpec,
        line: Line,
        *,
        placed: Callable[[], None],
        released: Callable[[], None],
    ) -> bool:
        """Work on the first request of an app's *line*; return whether there was one.

        Args:
            app: `owner/name`.
            spec: the app's.
            line: whose turn it is; suspects work alone on a runner.
            placed: called once there is a place and a claim.
            released: called once there is no place any more, where what the request still says is
                waited for.

        Raises:
            TowpathError: no runner has a place, or the queue cannot be used.
        """
        hint = await in_queue_thread(self._queue.hint)(app, line)
        async with self._engine.acquire(spec.name, hint=hint, alone=line == "suspect") as lease:
            claim = await self._claim(app, line)
            placed()
            if claim is None:
                return False
            outcome = await self._attempted(claim, lease, spec)
        if self._grace(claim, spec, outcome):
            released()
        await self._hand_in(claim, spec, outcome)
        return True

    def stop_attempt(self, request_id: str) -> None:
        """Stop what we do for a request that its caller has taken back."""
        held = self.attempts.get(request_id)
        if held is not None and request_id not in self._cancelled:
            self._cancelled.add(request_id)
            held[1].cancel()

    async def stop(self, *, grace: float) -> None:
        """Let attempts finish within *grace*, and give the others back."""
        self._is_stopping = True
        works = [work for _, work in self.attempts.values()]
        if works:
            await asyncio.wait(works, timeout=grace)
        for work in works:
            work.cancel()

    # --- one after the other ---

    async def _claim(self, app: str, line: Line) -> Claim | None:
        """Take the line's first request; what comes too late is given back.

        Raises:
            QueueUnavailableError: the database does not answer in time.
        """
        claim = in_queue_thread(self._queue.claim)
        now = self._clock()
        taking = asyncio.ensure_future(claim([app], worker=self._name, now=now, line=line))
        try:
            async with asyncio.timeout(_PLACE_SECONDS):
                return await asyncio.shield(taking)
        except TimeoutError:
            self._returns.begin(self._given_back(taking))
            raise QueueUnavailableError(_SLOW) from None
        except asyncio.CancelledError:
            await self._given_back(taking)
            raise

    async def _given_back(self, taking: "asyncio.Future[Claim | None]") -> None:
        """Give a claim back that nobody waits for any more."""
        claim = await taking
        if claim is not None:
            await self._write_down(claim, Outcome("given up"))

    async def _attempted(self, claim: Claim, lease: RunnerLease, spec: AppSpec) -> Outcome:
        """Send a request, in a task that can be cancelled by itself; return what came of it."""
        try:
            async with asyncio.timeout(_PLACE_SECONDS):
                await self._journal.open(claim)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request goes back
            log.error("no attempt", extra={"reason": str(error), "request_id": claim.request_id})  # noqa: TRY400
            return Outcome("given up", delay=_PAUSE_SECONDS)
        if self._is_stopping:  # `stop` has told the attempts that it knew
            return Outcome("given up")
        began = self._clock()
        work = asyncio.create_task(
            attempt(claim, lease, spec, self._queue.payloads), name=f"attempt {claim.request_id}"
        )
        self.attempts[claim.request_id] = (claim, work)
        self._changes.note(claim.request_id)
        await asyncio.wait({work})
        outcome = self._outcome(claim, work)
        if outcome.kind == "ok":
            took, before = self._clock() - began, self.usual.get(claim.app)
            self.usual[claim.app] = took if before is None else 0.8 * before + 0.2 * took
        return outcome

    def _outcome(self, claim: Claim, work: "asyncio.Task[Outcome]") -> Outcome:
        """Return what came of an attempt: cancelled by its caller, or by our own end."""
        if not work.cancelled():
            error = work.exception()
            if error is None:
                return work.result()
            log.error("attempt failed", exc_info=error, extra={"request_id": claim.request_id})
            if claim.retries and claim.tries < MOST_TRIES:  # the fault is ours
                return Outcome("retry", delay=_PAUSE_SECONDS, condition="server_error")
            return outcome_of(error)
        if claim.request_id in self._cancelled:
            return outcome_of(RequestCancelledError())
        return Outcome("given up")

    async def _hand_in(self, claim: Claim, spec: AppSpec, outcome: Outcome) -> None:
        """Decide what came of an attempt and write it down, however long that takes."""
        request_id = claim.request_id
        try:
            grace = self._grace(claim, spec, outcome)
            failure = await self._journal.close(request_id, grace=grace)
            kept = judged(failed(outcome, failure), claim, spec)
            await self._write_down(claim, kept)
            await in_queue_thread(forget_answer)(outcome, kept, self._queue.payloads)
        except Exception:
            log.exception("an attempt could not be judged", extra={"request_id": request_id})
            await self._write_down(claim, outcome_of(RuntimeError()))
        finally:
            self._journal.drop(request_id)
            self.attempts.pop(request_id, None)
            self._cancelled.discard(request_id)
            self._changes.note(request_id)
        await in_queue_thread(forget_body)(claim, self._queue)

    def _grace(self, claim: Claim, spec: AppSpec, outcome: Outcome) -> float | None:
        """Return how much longer than usual to wait for what an attempt still says.

        A server that stops waits for none of it: the runner is to be told to stop while it lives.

        Code that is told to stop has its grace, and writes meanwhile why and where it stopped; a
        runner that does not stop it is killed after twice the grace and a little more.
        """
        if outcome.kind == "given up":
            return None
        was_told = claim.request_id in self._cancelled or outcome.status == _TIMED_OUT
        return 2 * spec.grace + _KILL_SECONDS if was_told else 0.0

    async def _write_down(self, claim: Claim, outcome: Outcome) -> None:
        """Write to the queue; again while its disk is full or its server away.

        An answer that cannot be written for another reason is replaced by one that says nothing;
        if that cannot be either, the lease runs out, and the request waits again.
        """
        left = [outcome, outcome_of(RuntimeError())]
        while left:
            try:
                await self._journal.settle(claim.request_id)
                await in_queue_thread(self._queue.finish)(claim, left[0])
            except QueueUnavailableError as error:
                log.error("the queue cannot be written to", extra={"reason": str(error)})  # noqa: TRY400
                if self._is_stopping:
                    return  # it is put back at the next start
                await asyncio.sleep(_PAUSE_SECONDS)
            except TowpathError as error:  # another worker has it, or it was removed
                log.info("an attempt came too late", extra={"reason": str(error)})
                return
            except Exception:
                log.exception("an answer cannot be written down", extra={"app": claim.app})
                del left[0]
            else:
                return
