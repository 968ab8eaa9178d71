"""When may an app's next runner be started? Pure: the clock is given.

Three ends of a runner look alike from outside and mean three things. A start that fails is the
app's: the next one waits, longer each time, and one start that succeeds ends the wait for all. A
runner that dies young without work is the app's too, and its start was no success. A runner that
dies with a request in hand died of that request, as far as anybody knows: the request pays for it
(`queue.leases`), and the app starts its next runner at once.
"""

from collections import deque

from towpath.clock import Clock
from towpath.engine.scaling import backoff_seconds

__all__ = ["Backoff"]

_SETTLED_SECONDS = 10.0  # a runner that lived as long has started well
_TROUBLE_SECONDS = 10.0
_TROUBLE_DEATHS = 2
_SHORTAGE_SECONDS = 1.0


class Backoff:
    """What went wrong with an app's runners lately.

    Args:
        clock: a steady one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed_starts = 0
        self._young_deaths = 0
        self._retry_at = 0.0
        self._deaths_at_work: deque[float] = deque(maxlen=_TROUBLE_DEATHS)

    @property
    def left(self) -> float:
        """Return the seconds until a runner may be started; 0 = now."""
        return max(0.0, self._retry_at - self._clock())

    @property
    def is_on(self) -> bool:
        """Return whether no runner may be started now."""
        return self.left > 0

    @property
    def young_deaths(self) -> int:
        """Return how many runners in a row died young and without work."""
        return self._young_deaths

    @property
    def spares(self) -> int:
        """Return how many runners to start ahead: one while requests kill them in a row."""
        since = self._clock() - _TROUBLE_SECONDS
        recent = sum(moment >= since for moment in self._deaths_at_work)
        return int(recent >= _TROUBLE_DEATHS)

    def note_failed_start(self) -> None:
        """Wait longer before the next start."""
        self._failed_starts += 1
        self._wait(backoff_seconds(self._failed_starts))

    def note_shortage(self) -> None:
        """Wait a moment: the server itself lacks what a start needs."""
        self._wait(_SHORTAGE_SECONDS)

    def note_start(self) -> None:
        """End the wait: a runner has started."""
        self._failed_starts = 0
        self._retry_at = 0.0

    def note_answer(self) -> None:
        """Note that a runner has answered a request."""
        self._young_deaths = 0

    def note_death_at_work(self) -> None:
        """Note that a runner died of a request."""
        self._deaths_at_work.append(self._clock())

    def note_idle_death(self, since: float, served: int) -> None:
        """Note that a runner without work died; the first that did so young is forgiven.

        Args:
            since: when it was ready.
            served: requests that it had answered.
        """
        if served or self._clock() - since > _SETTLED_SECONDS:
            self._young_deaths = 0
            return
        self._young_deaths += 1
        self._wait(backoff_seconds(self._young_deaths - 1))

    def _wait(self, seconds: float) -> None:
        self._retry_at = max(self._retry_at, self._clock() + seconds)
