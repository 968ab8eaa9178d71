"""The book of a file's bytes: every byte is fetched, and counted once."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from towpath.downloads.spans import Span, Spans, merged

MIB = 2**20


def test_the_first_connection_runs_on_and_helpers_take_from_its_end() -> None:
    spans = Spans(100 * MIB)
    first = spans.take_first()
    part = spans.take(16 * MIB)
    assert (first.start, first.stop, first.reach) == (0, 84 * MIB, 100 * MIB)
    assert (part.start, part.stop) == (84 * MIB, 100 * MIB)


def test_what_a_helper_gives_back_goes_to_the_connection_that_would_bring_it_anyway() -> None:
    spans = Spans(100 * MIB)
    first = spans.take_first()
    parts = [spans.take(16 * MIB) for _ in range(3)]
    for part in parts:
        spans.give_back(part)
    assert first.stop == 100 * MIB
    assert spans.first_hole is None


def test_what_lies_before_a_hole_that_was_begun_is_not_lost() -> None:
    spans = Spans(100 * MIB)
    first = spans.take_first()
    part = spans.take(16 * MIB)
    spans.advance(part, MIB)
    spans.give_back(part)
    assert first.stop == 84 * MIB
    assert spans.first_hole == (85 * MIB, 100 * MIB)
    assert spans.done() == [(84 * MIB, 85 * MIB)]


def test_a_little_rest_is_not_split_but_can_be_taken_over() -> None:
    size = 200 * 1024
    spans = Spans(size)
    slow = spans.take_first()
    assert spans.take(16 * MIB) is None
    assert not spans.is_takeable
    spans.advance(slow, 10)
    taken = spans.take_over()
    assert (taken.start, taken.stop) == (10, size)
    assert slow.left == 0


def test_only_holes_are_fetched_after_a_resume() -> None:
    spans = Spans(100, [(10, 20), (0, 5), (15, 40)])
    assert spans.done_bytes == 35
    assert spans.first_hole == (5, 10)
    assert spans.frontier() == 5
    assert not spans.complete


ranges = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 40)).map(lambda pair: (pair[0], sum(pair))),
    max_size=8,
)


@given(ranges)
def test_merged_ranges_hold_the_same_bytes(pairs: list[tuple[int, int]]) -> None:
    held = {byte for start, stop in pairs for byte in range(start, stop)}
    result = merged(pairs)
    assert {byte for start, stop in result for byte in range(start, stop)} == held
    assert all(a[1] < b[0] for a, b in itertools.pairwise(result))


steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "advance", "back", "over"]),
        st.integers(0, 7),
        st.integers(1, 40 * MIB),
    ),
    max_size=60,
)


class Connections:
    """Stand-ins for connections: they take spans, bring bytes and give spans back."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self.running: list[Span] = []
        self.brought = 0
        self._run(spans.take_first())

    def _run(self, span: Span | None) -> None:
        if span is not None:
            self.running.append(span)

    def move(self, kind: str, which: int, amount: int) -> None:
        if kind == "take":
            self._run(self.spans.take(amount))
        elif kind == "over":
            self._run(self.spans.take_over())
        elif self.running and kind == "advance":
            self.advance(self.running[which % len(self.running)], amount)
        elif self.running:
            self.spans.give_back(self.running.pop(which % len(self.running)))

    def advance(self, span: Span, most: int) -> None:
        self.brought += self.spans.advance(span, most)

    def finish(self, size: int) -> None:
        while not self.spans.complete:
            if not self.running:
                self._run(self.spans.take(size))
            self.advance(self.running[0], size)
            self.spans.give_back(self.running.pop(0))


@given(st.integers(1, 80 * MIB), ranges, steps)
def test_whatever_connections_do_every_byte_comes_once(size: int, done, moves) -> None:
    past = [(start, min(stop, size)) for start, stop in done if start < size]
    spans = Spans(size, past)
    connections = Connections(spans)
    for move in moves:
        connections.move(*move)
    connections.finish(size)
    assert spans.done() == [(0, size)]
    assert spans.frontier() == size
    assert connections.brought + sum(b - a for a, b in merged(past)) == size
