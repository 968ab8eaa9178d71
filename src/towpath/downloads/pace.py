"""How many connections a download should have by now. Pure."""

from dataclasses import dataclass

__all__ = ["LEAST_SIZE", "Pace", "part_size"]

LEAST_SIZE = 16 * 2**20  # below this, handshakes cost more than helpers bring
_FAST = 400e6  # bytes a second at which the processor is the limit
_SLOW = 100e6  # below this, it is not our processor that holds a download up
_FIRST_LOOK = 0.05
_LATER_LOOK = 0.5
_WORTH = 1.15
_BUSY = 0.6  # of one processor: then the processor holds the download up, not the connections
_LEAST_PART = 4 * 2**20
_MOST_PART = 64 * 2**20


def part_size(size: int, connections: int) -> int:
    """Return the bytes to ask for at once: four parts for each connection, 4 to 64 MiB."""
    return min(max(size // (4 * max(1, connections)), _LEAST_PART), _MOST_PART)


@dataclass(slots=True)
class Pace:
    """Watches the rate and says how many connections to have.

    One until it is seen that one is slow; then as many as are allowed, measured to be best on far
    and on throttled links; one again if those bring no more. A link that kept the processor busy
    a moment ago is not called slow for one dip: other programs run beside us.

    Args:
        most: connections at most.
        now: a monotonic time in seconds.
        done: bytes that are here already.
        cpu: seconds of processor that the first connection's thread has used.
    """

    most: int
    now: float
    done: int = 0
    cpu: float = 0.0
    count: int = 1
    _alone: float = 0.0
    _look: float = _FIRST_LOOK
    _settled: bool = False
    _was_busy: bool = False

    def wanted(self, now: float, done: int, cpu: float = 0.0) -> int:
        """Return how many connections to have; call it often.

        Args:
            now: the time.
            done: bytes that are here.
            cpu: seconds of processor that the first connection's thread has used.
        """
        seconds = now - self.now
        if self._settled or seconds < self._look or self.most <= 1:
            return self.count
        rate = (done - self.done) / seconds
        is_busy = rate > _SLOW and (cpu - self.cpu) / seconds > _BUSY
        self.now, self.done, self.cpu = now, done, cpu
        if not is_busy:
            self._decide(rate)
        self._was_busy = is_busy
        return self.count

    def _decide(self, rate: float) -> None:
        """Choose the next count from the rate of the last window."""
        if self.count == 1:
            is_slow = rate < (_SLOW if self._was_busy else _FAST)
            if is_slow:
                self.count, self._alone = self.most, rate
            if is_slow or not self._was_busy:
                self._look = _LATER_LOOK
            return
        if rate < _WORTH * self._alone:
            self.count = 1
        self._settled = True

    def shrink(self) -> None:
        """Halve the connections: the server said that there are too many."""
        self.most = self.count = max(1, self.count // 2)
        self._settled = True
