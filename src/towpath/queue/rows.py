"""Rows of the queue's tables as requests, and requests as rows."""

import json
from collections.abc import Sequence
from typing import Any, get_args

from towpath.app.retrying import Condition
from towpath.errors import IdempotencyKeyError
from towpath.queue.idempotency import fingerprint_of, scoped_key
from towpath.queue.payloads import fingerprint_of_file
from towpath.queue.requests import (
    Claim,
    Failures,
    Headers,
    Line,
    NewRequest,
    Outcome,
    QueuedRequest,
    State,
)
from towpath.queue.statements import SHOWN
from towpath.queue.tables import DELAYED, DONE, LONGEST_WORD, QUEUED, RUNNING

__all__ = [
    "LINES",
    "STATES",
    "claim_of",
    "columns_of",
    "columns_of_outcome",
    "columns_of_retry",
    "fresh",
    "headers_of",
    "key_of",
    "named",
    "of_claim",
    "repeated",
    "request_of",
]

_MOST_DEATHS = 2**15 - 1
LINES: dict[Line, dict[str, int]] = {
    "all": {"least_deaths": 0, "most_deaths": _MOST_DEATHS},
    "usual": {"least_deaths": 0, "most_deaths": 0},
    "suspect": {"least_deaths": 1, "most_deaths": _MOST_DEATHS},
}
STATES: dict[int, State] = {QUEUED: "queued", DELAYED: "queued", RUNNING: "running", DONE: "done"}


def of_claim(claim: Claim) -> dict[str, object]:
    """Return what names an attempt."""
    return {"of_id": claim.request_id, "of_attempt": claim.attempt}


def claim_of(row: Sequence[Any], worker: str) -> Claim:  # Any: columns
    """Return a row that was claimed, with its payload, as a claim."""
    _, request_id, app, path, method, attempt, tries, retries, *failures, _, headers, body = row
    return Claim(
        request_id,
        app,
        path,
        method,
        attempt,
        tries,
        worker,
        bool(retries),
        headers_of(headers) if headers else (),
        bytes(body) if body else b"",
        Failures(*failures),
    )


def columns_of_outcome(outcome: Outcome) -> dict[str, object]:
    """Return an outcome's columns."""
    word = outcome.error_type
    given = {"kind": outcome.kind, "status": outcome.status, "error": outcome.error}
    given["error_type"] = None if word is None else word[:LONGEST_WORD]
    return {f"its_{k}": v for k, v in given.items()}


def columns_of_retry(outcome: Outcome) -> dict[str, object]:
    """Return what an attempt that is to be repeated counts as."""
    of = outcome.condition
    counts = {f"by_{word}": int(word == of) for word in get_args(Condition)}
    return {**counts, "uncounted": int(outcome.kind == "given up")}


def columns_of(new: NewRequest, priority: int, now: float) -> dict[str, object]:
    """Return a new request's columns."""
    start_by = None if new.start_within is None else now + new.start_within
    return {
        "id": new.request_id,
        "app": new.app,
        "key": key_of(new),
        "fingerprint": _fingerprint(new) if new.idempotency_key else None,
        "path": new.path,
        "method": new.method,
        "priority": priority,
        "hint": new.hint,
        "start_by": start_by,
        "submitted": now,
        "retries": new.retries,
        "keep_io": new.keep_io,
    }


def key_of(new: NewRequest) -> str | None:
    """Return a new request's key as the table has it; an empty one is none."""
    key = new.idempotency_key
    return scoped_key(new.caller, new.path, key) if key else None


def _fingerprint(new: NewRequest) -> str:
    """Return what tells the payload of *new* from others."""
    if new.file is not None:
        return fingerprint_of_file(new.path, new.file)
    return fingerprint_of(new.path, new.body)


def repeated(row: Sequence[Any], new: NewRequest) -> Sequence[Any]:  # Any: columns
    """Return the columns of the request that has the key of *new*, less its fingerprint.

    Raises:
        IdempotencyKeyError: it has another payload.
    """
    *shown, fingerprint = row
    if fingerprint not in {None, _fingerprint(new)}:
        raise IdempotencyKeyError(new.idempotency_key or "", str(named(shown)["id"]))
    return shown


def fresh(new: NewRequest, position: int, now: float) -> QueuedRequest:
    """Return a request as it is right after it was submitted."""
    row = dict.fromkeys(SHOWN) | {"id": new.request_id, "app": new.app, "path": new.path}
    row |= {"method": new.method, "state": QUEUED, "submitted": now, "attempt": 0}
    return request_of(tuple(row[name] for name in SHOWN), position)


def named(row: Sequence[Any]) -> dict[str, Any]:  # Any: columns
    """Return a row by its columns' names."""
    return dict(zip(SHOWN, row, strict=True))


def request_of(row: Sequence[Any], position: int | None) -> QueuedRequest:  # Any: columns
    """Return a row as a request."""
    found = named(row)
    state, cancelling = STATES[found["state"]], bool(found["cancelling"])
    same = {k: v for k, v in found.items() if k not in {"id", "number", "priority"}}
    same |= {"state": state, "cancelling": cancelling, "position": position}
    return QueuedRequest(request_id=found["id"], **same)


def headers_of(text: str) -> Headers:
    """Read headers as they were written down."""
    return tuple((name, value) for name, value in json.loads(text))
