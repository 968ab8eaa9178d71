"""What people ask of the queue: answers, logs, lists; and how long it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from towpath.errors import RequestNotFoundError
from towpath.queue.requests import LogLine, NewRequest, QueuedRequest, State, StoredAnswer
from towpath.queue.rows import headers_of, named, request_of
from towpath.queue.statements import SHOWN
from towpath.queue.tables import DELAYED, DONE, QUEUED, RUNNING
from towpath.queue.transactions import Prepared, Session, Transactions

__all__ = ["Page", "Records"]

_RANGES = {None: (QUEUED, DONE), "queued": (QUEUED, DELAYED)}
_RANGES |= {"running": (RUNNING, RUNNING), "done": (DONE, DONE)}
_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class Page:
    """Some requests of a list, the newest first, and where the next page begins."""

    requests: list[QueuedRequest]
    cursor: str | None


class Records:
    """What is written down of requests.

    Args:
        transactions: of the queue's database.
        does: the queue's statements.
    """

    def __init__(self, transactions: Transactions, does: Mapping[str, Prepared]) -> None:
        self._transactions = transactions
        self._does = does

    def answer(self, request_id: str) -> StoredAnswer | None:
        """Return the answer of a request that is done, verbatim."""
        rows = self._read_rows("answer_of", of_id=request_id)
        return StoredAnswer(rows[0][0], headers_of(rows[0][1]), bytes(rows[0][2])) if rows else None

    def logs(self, request_id: str, *, first: int = 0) -> list[tuple[int, LogLine]]:
        """Return the log lines of a request from place *first* on."""
        rows = self._read_rows("logs_of", of_id=request_id, first=first)
        return [
            (line, LogLine(at, level, message, source, attempt))
            for line, at, level, source, message, attempt in rows
        ]

    def page(
        self,
        *,
        app: str | None = None,
        state: State | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """List requests, the newest first.

        Raises:
            ValueError: the cursor is none of ours, or the limit is not 1 to 1000.
        """
        if not 1 <= limit <= 1000:  # noqa: PLR2004 - as for files
            message = f"limit={limit} is not 1 to 1000"
            raise ValueError(message)
        top = _LARGEST if cursor is None else int(cursor)
        low, high = _RANGES[state]
        given = {"any_app": int(app is None), "of_app": app or "", "low": low, "high": high}
        rows = self._read_rows("page", **given, top=min(top, _LARGEST), most=limit)
        more = str(rows[-1][SHOWN.index("number")]) if len(rows) == limit else None
        return Page([request_of(row, None) for row in rows], more)

    def copy_of(self, request_id: str, new_id: str) -> NewRequest:
        """Return a request like an earlier one, to be submitted again.

        Raises:
            RequestNotFoundError: there is none, or its body is not kept.
        """

        def look(session: Session) -> NewRequest:
            row = self.row(session, request_id)
            kept = session.rows(self._does["payload_of"], of_number=row["number"])
            if not kept:
                raise RequestNotFoundError(request_id)
            headers, body = headers_of(kept[0][0]), bytes(kept[0][1])
            return NewRequest(new_id, row["app"], row["path"], headers, body, row["method"])

        return self._transactions.read(look)

    def forget_before(self, moment: float) -> int:
        """Remove up to 500 requests that were done before *moment*; return how many."""

        def remove(session: Session) -> int:
            numbers = [row[0] for row in session.rows(self._does["old"], before=moment)]
            for number in numbers:
                self._drop(session, number, "request", "payload", "answer", "logs")
            return len(numbers)

        return self._transactions.write(remove)

    def row(self, session: Session, request_id: str) -> dict[str, Any]:  # Any: columns
        """Return a request's columns.

        Raises:
            RequestNotFoundError: there is none.
        """
        rows = session.rows(self._does["read"], of_id=request_id)
        if not rows:
            raise RequestNotFoundError(request_id)
        return named(rows[0])

    def _drop(self, session: Session, number: int, *what: str) -> None:
        for each in what:
            session.send(self._does[f"drop_{each}"], of_number=number)

    def _read_rows(self, name: str, **given: object) -> list[tuple[Any, ...]]:  # Any: columns
        return self._transactions.read(lambda session: session.rows(self._does[name], **given))
