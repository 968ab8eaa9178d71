"""What the queue keeps of a request, and what it answers. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from towpath.app.retrying import Condition

__all__ = [
    "CancelAnswer",
    "Claim",
    "Failures",
    "Headers",
    "Line",
    "LogLine",
    "NewRequest",
    "Outcome",
    "Queue",
    "QueuedRequest",
    "State",
    "StoredAnswer",
]

Headers = tuple[tuple[str, str], ...]
State = Literal["queued", "running", "done"]
CancelAnswer = Literal["removed", "requested", "completed"]
"""It waited and is gone; it runs and is asked to stop; it was over already."""
Line = Literal["all", "usual", "suspect"]
"""Whom a worker takes: everybody, those under whom no runner has died, or the others."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be queued.

    Attributes:
        request_id: unique; a second one of the same id is the first.
        app: `owner/name`.
        path: below the app, with its query.
        headers: what the runner is to get, as pairs.
        body: as it came; nothing where it is in a file.
        file: where a large body is; its name is among the headers.
        method: of HTTP.
        low_priority: whether it stands behind every request that is not.
        hint: what a runner should have warm.
        idempotency_key: a second request with the same key, of the same caller to the same path, is
            the first.
        start_within: seconds after which it is not started any more.
        retries: whether it may be tried again.
        keep_io: whether its body is kept when it is over.
        max_length: it is refused when so many of its app wait.
        caller: the user id of whoever sends it; '' on a server without keys.
    """

    request_id: str
    app: str
    path: str = "/"
    headers: Headers = ()
    body: bytes = b""
    method: str = "POST"
    file: Path | None = None
    low_priority: bool = False
    hint: str | None = None
    idempotency_key: str | None = None
    start_within: float | None = None
    retries: bool = True
    keep_io: bool = True
    max_length: int | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """A request of the queue.

    Attributes:
        request_id, app, path, method: as it was sent.
        state: where it stands.
        position: how many of its app are before it; None unless it waits.
        submitted, started, finished: moments, seconds since 1970; started is the last attempt's.
        attempt: how often it was given to a worker.
        cancelling: whether it runs and was asked to stop.
        kind, status, error, error_type: of its outcome; None until it is done.
        progress: what its endpoint said last, as JSON.
    """

    request_id: str
    app: str
    path: str
    method: str
    state: State
    position: int | None
    submitted: float
    started: float | None
    finished: float | None
    attempt: int
    cancelling: bool
    kind: str | None
    status: int | None
    error: str | None
    error_type: str | None
    progress: str | None


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a request has failed, by what went wrong; each has a budget of its own."""

    server_error: int = 0
    timeout: int = 0
    connection_error: int = 0

    def of(self, condition: Condition) -> int:
        """Return the count of *condition*."""
        count: int = getattr(self, condition)
        return count


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a request, held by one worker.

    Attributes:
        request_id, app, path, method, headers, body: the request.
        attempt: the fence: what an older attempt hands in counts for nothing.
        tries: attempts that count, this one included; one that was given up does not.
        worker: who holds it.
        retries: whether it may be tried again.
        failures: of the tries before.
    """

    request_id: str
    app: str
    path: str
    method: str
    attempt: int
    tries: int
    worker: str
    retries: bool
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    failures: Failures = Failures()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        kind: `ok`, `error` and `cancelled` end the request; `retry` puts it back; `given up` puts
            it back, and the attempt does not count.
        status, headers, body: the answer, as the app gave it.
        error: a sentence, when it failed.
        error_type: of a failure that is not the app's own.
        delay: seconds to wait before it is tried again.
        condition: what went wrong, where that counts against the request.
    """

    kind: Literal["ok", "error", "cancelled", "retry", "given up"]
    status: int = 200
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    error: str | None = None
    error_type: str | None = None
    delay: float = 0
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the app answered, verbatim."""

    status: int
    headers: Headers
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that an endpoint wrote.

    Attributes:
        at: moment, seconds since 1970.
        level: where it was written to, or how serious its writer found it.
        source: who wrote it.
        message: without its end of line.
        attempt: at which it was written; None for lines of older versions.
    """

    at: float
    level: str
    message: str
    source: str = "USER"
    attempt: int | None = None


class Queue(Protocol):
    """Requests that wait, run, and are kept with their answers; safe for several workers."""

    def submit(self, request: NewRequest) -> QueuedRequest:
        """Keep *request*; once this returns, it survives every crash."""

    def claim(self, apps: Collection[str], *, worker: str, now: float) -> Claim | None:
        """Give *worker* the first request that waits for one of *apps*; apps take turns."""

    def renew(self, claim: Claim, *, now: float) -> None:
        """Say that the claim's worker is still at it, or raise LeaseLostError."""

    def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Hand in what came of a claim; handing in twice is the same as once."""

    def cancel(self, request_id: str) -> CancelAnswer:
        """Take a request back."""

    def read(self, request_id: str) -> QueuedRequest:
        """Return where a request stands."""
