"""Is a worker still there, and is an attempt tried again? Pure: moments are given."""

from collections.abc import Iterable, Mapping
from typing import Final

from towpath.app.retrying import MOST_TRIES, Condition, RetryBudgets
from towpath.queue.requests import Claim

__all__ = [
    "LEASE_SECONDS",
    "RENEW_SECONDS",
    "Watch",
    "condition_of",
    "retry_delay",
    "verdict",
]

LEASE_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 10.0
_LONGEST_DELAY = 30.0
_TRIED_AGAIN = frozenset({503, 504})
_TOO_MANY = 429
_SERVER_ERROR = 500
_YES = frozenset({"1", "true", "yes"})
_CONDITIONS: dict[str, Condition] = {
    "oom": "connection_error",
    "runner_disconnected": "connection_error",
    "request_timeout": "timeout",
    "runner_incomplete_response": "server_error",
}


def condition_of(status: int, headers: Mapping[str, str]) -> Condition | None:
    """Return what went wrong, if it is of a kind that is tried again.

    A caller's own time to start is not: it has passed for the next try too.

    Args:
        status: of the answer.
        headers: of the answer, names in lower case.
    """
    if status < _SERVER_ERROR or headers.get("x-fal-request-timeout-type") == "user":
        return None
    usual: Condition | None = "server_error" if status in _TRIED_AGAIN else None
    return _CONDITIONS.get(headers.get("x-fal-error-type", ""), usual)


def verdict(
    status: int, headers: Mapping[str, str], claim: Claim, budgets: RetryBudgets
) -> Condition | None:
    """Decide whether an answer ends its request: return what the next try counts as, or None.

    The app may force or forbid a try by `X-Fal-Needs-Retry` on 429 and from 500 on, and forbid it
    by `X-Fal-No-Retry`; ten tries are the end of it.

    Args:
        status: of the answer; a runner that ended counts as 503.
        headers: of the answer, names in lower case.
        claim: the attempt.
        budgets: of the request.
    """
    if not claim.retries or claim.tries >= MOST_TRIES:
        return None
    found = condition_of(status, headers)
    if headers.get("x-fal-no-retry", "").lower() in _YES:
        return None
    asked = headers.get("x-fal-needs-retry")
    if asked in {"0", "1"} and (status >= _SERVER_ERROR or status == _TOO_MANY):
        return found or "server_error" if asked == "1" else None
    if found is None or claim.failures.of(found) >= budgets.of(found):
        return None
    return found


def retry_delay(tries: int, spread: float) -> float:
    """Return how long to wait before the next try: 0.1, 0.2, 0.4 … 30 s, halved by chance.

    Args:
        tries: so far.
        spread: 0 to 1, drawn anew each time, so that many do not come back at once.
    """
    longest = min(_LONGEST_DELAY, 0.1 * 2.0 ** max(0, tries - 1))
    return longest * (0.5 + spread / 2)


class Watch:
    """Notices workers that are gone, without comparing clocks of two machines.

    A worker counts its lease up while it is at it. A count that stands still for as long as a
    lease lasts, by the clock of who watches, is a worker that is gone.
    """

    def __init__(self, seconds: float = LEASE_SECONDS) -> None:
        self._seconds = seconds
        self._seen: dict[tuple[str, int], tuple[int, float]] = {}

    def gone(self, beats: Iterable[tuple[str, int, int]], *, now: float) -> list[tuple[str, int]]:
        """Return the attempts whose workers are gone.

        Args:
            beats: request id, attempt and count of every attempt that runs.
            now: the moment.
        """
        seen: dict[tuple[str, int], tuple[int, float]] = {}
        for request_id, attempt, beat in beats:
            key = (request_id, attempt)
            before = self._seen.get(key)
            stands = before is not None and before[0] == beat
            seen[key] = before if before is not None and stands else (beat, now)
        self._seen = seen
        return [key for key, (_, since) in seen.items() if now - since >= self._seconds]
