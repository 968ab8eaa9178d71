"""The queue in a database: SQLite for one server, PostgreSQL for several."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Engine

from towpath.clock import Clock
from towpath.errors import (
    LeaseLostError,
    QueueFullError,
    RequestCancelledError,
    RequestNotFoundError,
)
from towpath.queue.at_once import at_once
from towpath.queue.late import open_now_or_later
from towpath.queue.outcomes import outcome_of
from towpath.queue.payloads import Payloads
from towpath.queue.positions import Positions
from towpath.queue.records import Records
from towpath.queue.requests import (
    CancelAnswer,
    Claim,
    Line,
    LogLine,
    NewRequest,
    Outcome,
    QueuedRequest,
)
from towpath.queue.rows import (
    LINES,
    claim_of,
    columns_of,
    columns_of_outcome,
    columns_of_retry,
    fresh,
    key_of,
    named,
    of_claim,
    repeated,
    request_of,
)
from towpath.queue.statements import statements
from towpath.queue.tables import DELAYED, QUEUED, RUNNING
from towpath.queue.transactions import Session, prepared

__all__ = ["RequestQueue"]


class RequestQueue:
    """Requests that wait, run, and are kept with their answers.

    Every change is one transaction, on the disk before its method returns. An attempt is fenced by
    its number: what an older one hands in counts for nothing. Safe for threads, processes and, on
    PostgreSQL, machines.

    Args:
        engine: the database; its tables are made, or brought to their newest form.
        clock: moments that are written down.
        max_length: requests of one app that may wait.

    Attributes:
        payloads: where large bodies and answers are; None = in their rows.
    """

    def __init__(self, engine: Engine, clock: Clock, *, max_length: int = 100_000) -> None:
        own = at_once() if engine.dialect.name == "postgresql" else {}
        self._does = prepared({**statements(engine), **own}, engine)
        self._transactions = open_now_or_later(engine, clock)
        self.payloads: Payloads | None = None
        self.records = Records(self._transactions, self._does)
        self._positions = Positions(self._does)
        self._clock = clock
        self._max_length = max_length
        self._served: dict[str, int] = {}

    # --- Queue ---

    def submit(self, request: NewRequest) -> QueuedRequest:
        """Keep *request*; once this returns, it survives every crash.

        Raises:
            IdempotencyKeyError: its caller sent its key before, with another payload.
            QueueFullError: as many of its app wait as may.
            QueueUnavailableError: the database cannot be written to.
        """
        kept = self._transactions.alone(partial(self._submit_at_once, request))
        return kept or self._transactions.write(partial(self._submit, request))

    def claim(
        self, apps: Collection[str], *, worker: str, now: float, line: Line = "all"
    ) -> Claim | None:
        """Give *worker* the first request that waits for one of *apps* in a *line*.

        Apps take turns: the one that was served longest ago comes first.
        """
        for app in sorted(apps, key=lambda name: self._served.get(name, 0)):
            given = {"of_app": app, "by_worker": worker, "at_start": now, **LINES[line]}
            claim = self._claimed(given)
            if claim is not None:
                self._served[app] = 1 + max(self._served.values(), default=0)
                return claim
        return None

    def renew(self, claim: Claim, *, now: float) -> None:
        """Say that the claim's worker is still at it.

        Raises:
            LeaseLostError: another worker has it.
        """
        del now  # whoever watches counts by a clock of its own
        beat = partial(self._run, "beat", of_claim(claim))
        if self._transactions.write(beat) == 0:
            raise LeaseLostError(claim.request_id, claim.attempt)

    def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Hand in what came of a claim; handing in twice is the same as once.

        Raises:
            LeaseLostError: another worker has taken the request since.
        """
        if outcome.kind in {"retry", "given up"} or not self._transactions.alone(
            partial(self._finish_at_once, claim, outcome)
        ):
            self._transactions.write(partial(self._finish, claim, outcome))

    def cancel(self, request_id: str) -> CancelAnswer:
        """Take a request back; one that runs is only marked, its worker does the rest.

        Raises:
            RequestNotFoundError: there is none.
        """
        return self._transactions.write(partial(self._cancel, request_id))

    def read(self, request_id: str) -> QueuedRequest:
        """Return where a request stands.

        Raises:
            RequestNotFoundError: there is none.
        """
        return self._transactions.read(partial(self._read, request_id))

    # --- what workers need besides ---

    def hint(self, app: str, line: Line = "all") -> str | None:
        """Return what the first request that waits for *app* would like a runner to have warm."""
        rows = self._read_rows("head", of_app=app, **LINES[line])
        return rows[0][0] if rows else None

    def suspects(self) -> dict[str, int]:
        """Return how many requests wait under whom a runner has died, by app."""
        return {app: int(count) for app, count in self._read_rows("suspects")}

    def waiting(self) -> dict[str, int]:
        """Return how many requests wait, by app."""
        return {app: int(count) for app, count in self._read_rows("waiting_all") if count}

    def note(
        self, claim: Claim, lines: Sequence[tuple[int, LogLine]], progress: str | None
    ) -> None:
        """Keep log lines of a claim, each with its place, and what it said of its progress."""
        self._transactions.write(partial(self._note, claim, lines, progress))

    def running(self) -> list[tuple[str, int, int]]:
        """Return id, attempt and beat of every attempt that runs."""
        return [(i, int(a), int(b)) for i, a, b in self._read_rows("running")]

    def stopping(self, worker: str) -> list[str]:
        """Return the requests of *worker* that are to be stopped."""
        return [row[0] for row in self._read_rows("stopping", by_worker=worker)]

    def take_back(self, attempts: Iterable[tuple[str, int]]) -> int:
        """Put attempts whose worker is gone back in their places; return how many.

        That a server ends is not the request's fault: such an attempt does not count.
        """
        listed = list(attempts)
        return self._transactions.write(partial(self._take_back, listed)) if listed else 0

    def take_back_all(self, worker: str) -> int:
        """Put back what a *worker* of the same name held before it was restarted."""
        rows = self._read_rows("held", by_worker=worker)
        return self.take_back([(request_id, attempt) for request_id, attempt in rows])

    def promote(self, now: float) -> int:
        """Let those wait in line again whose pause is over; return how many."""
        return self._transactions.write(partial(self._run, "promote", {"now": now}))

    def late(self, now: float) -> list[str]:
        """Return the requests that wait and were to be started by *now*."""
        return [row[0] for row in self._read_rows("late", now=now)]

    def end_waiting(self, request_id: str, outcome: Outcome) -> bool:
        """End a request that waits; return whether it did."""
        return self._transactions.write(partial(self._take_out, request_id, outcome))

    # --- what time brings about ---

    def sweep_counts(self) -> None:
        """Remove counts of blocks in which nobody waits any more."""
        self._transactions.write(self._positions.sweep)

    def close(self) -> None:
        """Close the database."""
        self._transactions.close()

    # --- each a single statement, where that is quicker ---

    def _submit_at_once(self, new: NewRequest, session: Session) -> QueuedRequest | None:
        now, priority = self._clock(), int(new.low_priority)
        given = columns_of(new, priority, now) | {"most": self._limit(new), "body": new.body}
        headers = json.dumps(new.headers)
        number, ahead = session.rows(self._does["submit_at_once"], **given, headers=headers)[0]
        return None if number is None else fresh(new, int(ahead), now)

    def _claimed(self, given: Mapping[str, Any]) -> Claim | None:  # Any: columns
        rows = self._transactions.alone(
            lambda session: session.rows(self._does["claim_at_once"], **given)
        )
        if rows is None:
            return self._transactions.write(partial(self._claim, given))
        return claim_of(rows[0], given["by_worker"]) if rows else None

    def _finish_at_once(self, claim: Claim, outcome: Outcome, session: Session) -> bool:
        given = {**of_claim(claim), **columns_of_outcome(outcome), "at_end": self._clock()}
        headers = json.dumps(outcome.headers)
        rows = session.rows(
            self._does["finish_at_once"], **given, headers=headers, body=outcome.body
        )
        return bool(rows)

    # --- each within a transaction ---

    def _submit(self, new: NewRequest, session: Session) -> QueuedRequest:
        waiting = self._positions.waiting(session, new.app)
        limit = self._limit(new)
        found = self._by_key(session, new)
        if found is not None:
            return found
        if sum(waiting.values()) >= limit:
            raise QueueFullError(new.app, waiting=sum(waiting.values()), limit=limit)
        now, priority = self._clock(), int(new.low_priority)
        rows = session.rows(self._does["insert"], **columns_of(new, priority, now))
        if not rows:  # the same one came by another way a moment ago
            return self._by_key(session, new) or self._read(new.request_id, session)
        number = rows[0][0]
        headers = json.dumps(new.headers)
        session.send(self._does["payload"], number=number, headers=headers, body=new.body)
        self._positions.count(session, (number, priority, new.app), 1)
        before = sum(count for rank, count in waiting.items() if rank <= priority)
        return fresh(new, before, now)

    def _by_key(self, session: Session, new: NewRequest) -> QueuedRequest | None:
        if not new.idempotency_key:
            return None
        rows = session.rows(self._does["read_by_key"], of_app=new.app, of_key=key_of(new))
        row = repeated(rows[0], new) if rows else None
        return request_of(row, self._positions.of(session, named(row))) if row else None

    def _claim(self, given: Mapping[str, Any], session: Session) -> Claim | None:  # Any: columns
        rows = session.rows(self._does["claim"], **given)
        if not rows:
            return None
        number, priority = rows[0][0], rows[0][-1]
        kept = session.rows(self._does["payload_of"], of_number=number) or [(None, None)]
        self._positions.count(session, (number, priority, given["of_app"]), -1)
        return claim_of((*rows[0], *kept[0]), given["by_worker"])

    def _finish(self, claim: Claim, outcome: Outcome, session: Session) -> None:
        if outcome.kind in {"retry", "given up"}:
            self._put_back(claim, outcome, session)
            return
        rows = session.rows(
            self._does["end"],
            **of_claim(claim),
            **columns_of_outcome(outcome),
            at_end=self._clock(),
        )
        if not rows:
            self._refuse_late(claim, session)
            return
        number, keep_io = rows[0]
        self._keep_answer(session, number, outcome)
        if not keep_io:
            session.send(self._does["drop_payload"], of_number=number)

    def _put_back(self, claim: Claim, outcome: Outcome, session: Session) -> None:
        row = self._row(session, claim.request_id)
        if row["cancelling"] and row["attempt"] == claim.attempt:
            self._finish(claim, outcome_of(RequestCancelledError()), session)
            return
        delayed = outcome.delay > 0
        due = self._clock() + outcome.delay if delayed else None
        rows = session.rows(
            self._does["back"],
            **of_claim(claim),
            its_state=DELAYED if delayed else QUEUED,
            its_due=due,
            **columns_of_retry(outcome),
        )
        if not rows:
            self._refuse_late(claim, session)
            return
        self._positions.count(session, rows[0], 1)

    def _refuse_late(self, claim: Claim, session: Session) -> None:
        """Let the same worker hand in twice; refuse everybody else."""
        row = self._row(session, claim.request_id)
        if row["attempt"] != claim.attempt or row["state"] == RUNNING:
            raise LeaseLostError(claim.request_id, claim.attempt)

    def _cancel(self, request_id: str, session: Session) -> CancelAnswer:
        if self._take_out(request_id, outcome_of(RequestCancelledError()), session):
            return "removed"
        if session.run(self._does["ask_to_stop"], of_id=request_id):
            return "requested"
        self._row(session, request_id)
        return "completed"

    def _take_out(self, request_id: str, outcome: Outcome, session: Session) -> bool:
        rows = session.rows(
            self._does["take_out"],
            of_id=request_id,
            **columns_of_outcome(outcome),
            at_end=self._clock(),
        )
        for row in rows:
            self._positions.count(session, row, -1)
            self._keep_answer(session, row[0], outcome)
        return bool(rows)

    def _take_back(self, attempts: Sequence[tuple[str, int]], session: Session) -> int:
        back = 0
        for request_id, attempt in attempts:
            row = self._row(session, request_id)
            if row["attempt"] == attempt and row["state"] == RUNNING:
                claim = Claim(request_id, row["app"], "", "", attempt, 0, "", retries=True)
                self._put_back(claim, Outcome("given up"), session)
                back += 1
        return back

    def _note(
        self,
        claim: Claim,
        noted: Sequence[tuple[int, LogLine]],
        progress: str | None,
        session: Session,
    ) -> None:
        if progress is not None:
            session.send(self._does["progress"], **of_claim(claim), its_progress=progress)
        if noted:
            number = self._row(session, claim.request_id)["number"]
            rows = [
                {"number": number, "line": place, "at": line.at, "level": line.level}
                | {"source": line.source, "message": line.message, "attempt": line.attempt}
                for place, line in noted
            ]
            session.send_many(self._does["log"], rows)

    def _read(self, request_id: str, session: Session) -> QueuedRequest:
        rows = session.rows(self._does["read"], of_id=request_id)
        if not rows:
            raise RequestNotFoundError(request_id)
        return request_of(rows[0], self._positions.of(session, named(rows[0])))

    # --- pieces ---

    def _limit(self, new: NewRequest) -> int:
        """Return how many of its app may wait for a request to be taken."""
        return self._max_length if new.max_length is None else min(new.max_length, self._max_length)

    def _row(self, session: Session, request_id: str) -> dict[str, Any]:  # Any: columns
        return self.records.row(session, request_id)

    def _keep_answer(self, session: Session, number: int, outcome: Outcome) -> None:
        headers = json.dumps(outcome.headers)
        session.send(self._does["answer"], number=number, headers=headers, body=outcome.body)

    def _read_rows(self, name: str, **given: object) -> list[tuple[Any, ...]]:  # Any: columns
        return self._transactions.read(lambda session: session.rows(self._does[name], **given))

    def _run(self, name: str, given: Mapping[str, object], session: Session) -> int:
        return session.run(self._does[name], **given)
