"""Is a worker still there, and is an attempt tried again? Pure: moments are given."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

__all__ = [
    "LEASE_SECONDS",
    "MOST_DEATHS",
    "MOST_TRIES",
    "RENEW_SECONDS",
    "Watch",
    "retry_delay",
    "verdict",
]

LEASE_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 10.0
MOST_TRIES: Final = 10
MOST_DEATHS: Final = 2
"""Tries of a request that its runner had no memory for."""
_LONGEST_DELAY = 30.0
_TRIED_AGAIN = frozenset({503, 504})
_OUT_OF_MEMORY = "oom"


def verdict(
    status: int, headers: Mapping[str, str], *, tries: int, retries: bool
) -> Literal["done", "retry"]:
    """Decide whether an answer ends its request.

    503, 504 and broken connections are tried again, ten times at most; the app may force or
    forbid it by `X-Fal-Needs-Retry`; what a runner had no memory for is tried twice.

    Args:
        status: of the answer; a broken connection counts as 503.
        headers: of the answer, names in lower case.
        tries: so far, this one included.
        retries: whether the caller allows any.
    """
    memory = headers.get("x-fal-error-type") == _OUT_OF_MEMORY
    if not retries or tries >= (MOST_DEATHS if memory else MOST_TRIES):
        return "done"
    asked = headers.get("x-fal-needs-retry")
    if asked in {"0", "1"}:
        return "retry" if asked == "1" else "done"
    return "retry" if status in _TRIED_AGAIN else "done"


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
