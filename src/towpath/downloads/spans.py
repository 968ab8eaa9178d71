"""Which bytes of a file are here, and who fetches which of the rest. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Range", "Span", "Spans", "merged"]

Range = tuple[int, int]
"""First byte, and the byte after the last."""

_LEAST_SPLIT = 256 * 1024  # of what is left, below which a running span is not split


@dataclass(slots=True, eq=False)
class Span:
    """A piece that one connection fetches.

    Attributes:
        start: its first byte.
        at: the next byte to come.
        stop: the byte after its last; others may take from its end while it runs.
        reach: the byte after the last that its connection would bring.
    """

    start: int
    at: int
    stop: int
    reach: int

    @property
    def left(self) -> int:
        """Return how many bytes are still to come."""
        return self.stop - self.at


class Spans:
    """The book of one file's bytes. Its callers hold a lock.

    Args:
        size: bytes of the file.
        done: ranges that are here already.
    """

    def __init__(self, size: int, done: Iterable[Range] = ()) -> None:
        self.size = size
        self._past = merged(done)
        self._holes = _holes(size, self._past)
        self._running: list[Span] = []
        self.done_bytes = sum(stop - start for start, stop in self._past)

    @property
    def complete(self) -> bool:
        """Whether every byte is here."""
        return self.done_bytes == self.size

    @property
    def first_hole(self) -> Range | None:
        """Return the first range that nobody fetches, or None."""
        return self._holes[0] if self._holes else None

    @property
    def is_takeable(self) -> bool:
        """Whether take() would find something."""
        return bool(self._holes) or any(span.left >= _LEAST_SPLIT for span in self._running)

    def take_first(self) -> Span | None:
        """Take the first hole whole: for the first answer, which brings all of it."""
        return self._run(*self._holes.pop(0)) if self._holes else None

    def take(self, most: int) -> Span | None:
        """Take at most *most* bytes: from the last hole, else from the end of the longest span.

        A running span is split in halves at most, and not at all when little of it is left.
        """
        if self._holes:
            start, stop = self._holes.pop()
            middle = max(start, stop - most)
            if middle > start:
                self._holes.append((start, middle))
            return self._run(middle, stop)
        longest = max(self._running, key=lambda span: span.left, default=None)
        if longest is None or longest.left < _LEAST_SPLIT:
            return None
        taken = min(most, longest.left // 2)
        longest.stop -= taken
        return self._run(longest.stop, longest.stop + taken)

    def take_over(self) -> Span | None:
        """Take all that is left of the longest span, from a connection that brings nothing."""
        longest = max(self._running, key=lambda span: span.left, default=None)
        if longest is None or not longest.left:
            return None
        stop, longest.stop, longest.reach = longest.stop, longest.at, longest.at
        return self._run(longest.at, stop)

    def _run(self, start: int, stop: int) -> Span:
        span = Span(start, start, stop, stop)
        self._running.append(span)
        return span

    def advance(self, span: Span, size: int) -> int:
        """Note that *size* more bytes of *span* are here; return how many of them are new."""
        new = min(size, span.left)
        span.at += new
        self.done_bytes += new
        return new

    def give_back(self, span: Span) -> None:
        """End *span*; what it did not bring is a hole again.

        A hole right behind a running span goes to that span, if its connection reaches so far.
        """
        self._running.remove(span)
        if span.at > span.start:
            self._past.append((span.start, span.at))
        if span.left:
            self._holes = merged([*self._holes, (span.at, span.stop)])
        for each in self._running:
            self._lengthen(each)

    def _lengthen(self, span: Span) -> None:
        """Give *span* the hole behind it, as far as its connection reaches."""
        for at, (start, stop) in enumerate(self._holes):
            if start == span.stop < span.reach:
                span.stop = min(stop, span.reach)
                self._holes[at : at + 1] = [(span.stop, stop)] if span.stop < stop else []
                return

    def done(self) -> list[Range]:
        """Return the ranges that are here, in order and joined."""
        running = [(span.start, span.at) for span in self._running if span.at > span.start]
        self._past = merged(self._past)
        return merged([*self._past, *running])

    def frontier(self) -> int:
        """Return how many bytes are here from the start without a gap."""
        done = self.done()
        return done[0][1] if done and done[0][0] == 0 else 0


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return *ranges* in order, joined where they meet."""
    result: list[Range] = []
    for start, stop in sorted(ranges):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(stop, result[-1][1]))
        else:
            result.append((start, stop))
    return result


def _holes(size: int, done: list[Range]) -> list[Range]:
    """Return what lies between the ranges that are here."""
    starts = [0, *(stop for _, stop in done)]
    stops = [*(start for start, _ in done), size]
    return [(a, b) for a, b in zip(starts, stops, strict=True) if a < b]
