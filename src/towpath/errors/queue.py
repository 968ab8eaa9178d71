"""What the queue refuses, and when it cannot be reached."""

from typing_extensions import override

from towpath.errors.redaction import shown
from towpath.errors.root import TowpathError, TransientError

__all__ = [
    "AnswerTooLargeError",
    "IdempotencyKeyError",
    "LeaseLostError",
    "QueueError",
    "QueueFullError",
    "QueueUnavailableError",
    "RequestNotFoundError",
    "WrongStateError",
]


class QueueError(TowpathError):
    """The queue cannot do what it was asked to."""


class RequestNotFoundError(QueueError):
    """There is no such request, or it is past its retention."""

    def __init__(self, request_id: str) -> None:
        self.advice = "TOWPATH_QUEUE_RETENTION says how long results are kept."
        super().__init__(
            f"There is no request {shown(request_id, 64)!r} here, or its result is not kept any "
            f"more. {self.advice}"
        )


class WrongStateError(QueueError):
    """The request is not in a state that allows this."""

    def __init__(self, request_id: str, state: str, wanted: str) -> None:
        self.state = state
        super().__init__(f"Request {shown(request_id, 64)!r} is {state}; {wanted}.")


class IdempotencyKeyError(QueueError):
    """The caller sent the same key before, with another payload.

    Attributes:
        request_id: of the request that has the key.
    """

    def __init__(self, key: str, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(
            f"Idempotency-Key {shown(key, 80)!r} belongs to request {request_id}, which has "
            "another body or query. Send that request again as it was, or this one with a new key."
        )


class QueueFullError(QueueError):
    """As many requests wait as may.

    Attributes:
        waiting: how many do.
        limit: how many may.
    """

    def __init__(self, app: str, *, waiting: int, limit: int) -> None:
        self.waiting = waiting
        self.limit = limit
        super().__init__(
            f"{waiting} requests wait for {app}, and the limit is {limit}. Send this one later."
        )


class AnswerTooLargeError(QueueError):
    """The app's answer is larger than the queue keeps.

    Attributes:
        limit: bytes.
    """

    def __init__(self, app: str, *, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"{app} answered with more than {limit} bytes, which is what the queue keeps of an "
            "answer. Return a File in place of its content, or call the app without the queue."
        )


class LeaseLostError(QueueError):
    """Another worker has taken the request since; what was done for it counts for nothing."""

    def __init__(self, request_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of request {request_id} was taken by another worker.")


class QueueUnavailableError(QueueError, TransientError):
    """The queue's database does not answer, or cannot write.

    Attributes:
        reason: the database's own words.
        is_full: whether its disk is full.
        damaged: the file, where it is damaged; for logs, never for callers.
    """

    def __init__(self, reason: str, *, is_full: bool = False, damaged: str = "") -> None:
        self.reason = reason
        self.is_full = is_full
        self.damaged = damaged
        fix = "Free some space." if is_full else "Try again in a moment."
        if damaged:
            fix = (
                f"{damaged} is damaged: stop the server and move the file away, with its -wal and "
                "-shm. The requests in it are lost, unless `sqlite3 FILE .recover` saves them."
            )
        super().__init__(f"The queue's database cannot be used ({shown(reason, 200)}). {fix}")

    @property
    @override
    def told(self) -> str:
        """What a caller is told: the reason names the database's host."""
        later = "later" if self.is_full else "in a moment"
        return f"The server's queue cannot be used at the moment. Try again {later}."
