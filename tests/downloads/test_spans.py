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


@given(st.integers(1, 80 * MIB), ranges, steps)
def test_whatever_connections_do_every_byte_comes_once(size: int, done, moves) -> None:
    past = [(start, min(stop, size)) for start, stop in done if start < size]
    spans = Spans(size, past)
    got = {}
    running: list[Span] = []
    first = spans.take_first()
    if first is not None:
        running.append(first)

    def advance(span: Span, most: int) -> None:
        at = span.at
        new = spans.advance(span, most)
        got[at] = got.get(at, 0) + new

    for move, which, amount in moves:
        if (move == "take" and (span := spans.take(amount)) is not None) or (
            move == "over" and (span := spans.take_over()) is not None
        ):
            running.append(span)
        elif running and move == "advance":
            advance(running[which % len(running)], amount)
        elif running and move == "back":
            spans.give_back(running.pop(which % len(running)))
    while not spans.complete:
        if running:
            advance(running[0], size)
            spans.give_back(running.pop(0))
        elif (span := spans.take(size)) is not None:
            running.append(span)
    assert spans.complete
    assert spans.done() == [(0, size)]
    assert spans.frontier() == size
    assert sum(got.values()) + sum(b - a for a, b in merged(past)) == size
