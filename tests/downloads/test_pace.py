"""How many connections a download has, by the rates that it sees."""

import pytest

from towpath.downloads.pace import Pace, part_size

MIB = 2**20


def counts(rates: dict[int, float], most: int = 16, seconds: float = 5.0) -> list[int]:
    """Play a download whose rate depends on the number of connections."""
    pace = Pace(most, 0.0)
    now, done, seen = 0.0, 0.0, [1]
    while now < seconds:
        now += 0.01
        done += rates[pace.count] * 0.01
        if (count := pace.wanted(now, int(done))) != seen[-1]:
            seen.append(count)
    return seen


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        pytest.param(lambda n: 2e9, [1], id="a fast path is limited by the processor"),
        pytest.param(lambda n: n * 40e6, [1, 16], id="each connection is throttled"),
        pytest.param(lambda n: 90e6, [1, 16, 1], id="the link is full with one"),
        pytest.param(lambda n: min(n, 4) * 9e6, [1, 16], id="four would do, and cannot be told"),
    ],
)
def test_connections_follow_what_they_bring(rate, expected: list[int]) -> None:
    assert counts({n: rate(n) for n in range(1, 17)}) == expected


def test_the_callers_bound_holds() -> None:
    assert counts({n: n * 40e6 for n in range(1, 17)}, most=4) == [1, 4]
    assert counts({n: n * 40e6 for n in range(1, 17)}, most=1) == [1]


def test_a_path_that_was_fast_only_at_first_gets_helpers_later() -> None:
    pace = Pace(16, 0.0)
    assert pace.wanted(0.06, 60_000_000) == 1
    assert pace.wanted(0.7, 65_000_000) == 16


def test_a_busy_processor_is_not_helped_by_more_connections() -> None:
    pace = Pace(16, 0.0)
    assert pace.wanted(0.1, 20_000_000, cpu=0.09) == 1
    assert pace.wanted(0.2, 40_000_000, cpu=0.18) == 1


def test_one_dip_of_a_link_that_kept_the_processor_busy_is_no_reason() -> None:
    pace = Pace(16, 0.0)
    assert pace.wanted(0.06, 54_000_000, cpu=0.06) == 1
    assert pace.wanted(0.12, 72_000_000, cpu=0.08) == 1, "300 MB/s: another program ran"
    assert pace.wanted(0.18, 126_000_000, cpu=0.14) == 1
    assert pace.wanted(0.24, 144_000_000, cpu=0.16) == 1
    assert pace.wanted(0.30, 162_000_000, cpu=0.18) == 16, "twice in a row: the link is slow"


def test_a_throttle_that_sets_in_after_a_burst_is_seen_at_once() -> None:
    pace = Pace(16, 0.0)
    assert pace.wanted(0.06, 42_000_000, cpu=0.06) == 1
    assert pace.wanted(0.12, 43_000_000, cpu=0.06) == 16
    assert pace.wanted(0.2, 52_000_000, cpu=0.07) == 16, "helpers have half a second to show"


def test_a_server_that_has_enough_gets_half() -> None:
    pace = Pace(16, 0.0, count=16)
    pace.shrink()
    assert pace.wanted(9.0, 1) == 8


@pytest.mark.parametrize(
    ("size", "connections", "expected"),
    [(20 * MIB, 16, 4 * MIB), (1024 * MIB, 16, 16 * MIB), (99_999 * MIB, 16, 64 * MIB)],
)
def test_parts_are_a_quarter_of_a_connections_share(size, connections, expected) -> None:
    assert part_size(size, connections) == expected


def test_a_middling_first_look_at_an_idle_processor_brings_helpers_at_once() -> None:
    """No window was busy before the first one, so nothing excuses its rate."""
    pace = Pace(16, 0.0)
    assert pace.wanted(0.06, 12_000_000, cpu=0.01) == 16
