"""How many connections a download should have by now. Pure."""

from dataclasses import dataclass, field

__all__ = ["LEAST_SIZE", "Pace", "part_size"]

LEAST_SIZE = 16 * 2**20  # below this, handshakes cost more than helpers bring
_FAST = 400e6  # bytes a second at which the processor is the limit
_FIRST_LOOK = 0.05
_NEXT_LOOK = 0.1
_LATER_LOOK = 0.5
_FEW = 8
_THROTTLED = 5.0  # eight connections bring so much more than one: the server limits each
_WORTH = 1.15
_LEAST_PART = 4 * 2**20
_MOST_PART = 64 * 2**20


def part_size(size: int, connections: int) -> int:
    """Return the bytes to ask for at once: four parts for each connection, 4 to 64 MiB."""
    return min(max(size // (4 * max(1, connections)), _LEAST_PART), _MOST_PART)


@dataclass(slots=True)
class Pace:
    """Watches the rate and says how many connections to have.

    One until it is seen that one is slow; then eight; then as many as are allowed, if that helps.

    Args:
        most: connections at most.
        now: a monotonic time in seconds.
        done: bytes that are here already.
    """

    most: int
    now: float
    done: int = 0
    count: int = 1
    _rates: dict[int, float] = field(default_factory=dict)
    _look: float = _FIRST_LOOK
    _settled: bool = False

    def wanted(self, now: float, done: int) -> int:
        """Return how many connections to have; call it often.

        Args:
            now: the time.
            done: bytes that are here.
        """
        seconds = now - self.now
        if self._settled or seconds < self._look or self.most <= 1:
            return self.count
        rate = (done - self.done) / seconds
        self.now, self.done = now, done
        self._rates[self.count] = rate
        self._decide(rate)
        return self.count

    def _decide(self, rate: float) -> None:
        """Choose the next count from the rate of the last window."""
        if self.count == 1:
            self._look = _LATER_LOOK / 2
            if rate < _FAST:
                self.count, self._look = min(_FEW, self.most), _NEXT_LOOK
        elif self.count == self.most or self.count > _FEW:
            self._settle(rate)
        elif rate >= _THROTTLED * self._rates[1] or self._look == _LATER_LOOK:
            self.count = min(self.count * 2, self.most)
            self._look = _LATER_LOOK
        else:
            self._look = _LATER_LOOK

    def _settle(self, rate: float) -> None:
        """Keep the last step if it brought something; take it back otherwise."""
        before = self._rates.get(_FEW)
        if self.count > _FEW and before is not None and rate < _WORTH * before:
            self.count = _FEW
        self._settled = True

    def shrink(self) -> None:
        """Halve the connections: the server said that there are too many."""
        self.most = self.count = max(1, self.count // 2)
        self._settled = True
