import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.queue.leases import MOST_TRIES, Watch, retry_delay, verdict


@pytest.mark.parametrize(
    ("status", "headers", "tries", "retries", "word"),
    [
        (200, {}, 1, True, "done"),
        (404, {}, 1, True, "done"),
        (422, {}, 1, True, "done"),
        (500, {}, 1, True, "done"),
        (502, {}, 1, True, "done"),
        (503, {}, 1, True, "retry"),
        (504, {}, 9, True, "retry"),
        (504, {}, MOST_TRIES, True, "done"),
        (503, {}, 1, False, "done"),
        (503, {"x-fal-needs-retry": "0"}, 1, True, "done"),
        (500, {"x-fal-needs-retry": "1"}, 1, True, "retry"),
        (500, {"x-fal-needs-retry": "1"}, 10, True, "done"),
        (500, {"x-fal-needs-retry": "1"}, 1, False, "done"),
        (500, {"x-fal-needs-retry": "maybe"}, 1, True, "done"),
        (503, {"x-fal-error-type": "oom"}, 1, True, "retry"),
        (503, {"x-fal-error-type": "oom"}, 2, True, "done"),
    ],
)
def test_what_is_tried_again(status, headers, tries, retries, word) -> None:
    assert verdict(status, headers, tries=tries, retries=retries) == word


@given(st.integers(1, 200), st.floats(0, 1))
def test_pauses_grow_and_end(tries: int, spread: float) -> None:
    assert 0.05 <= retry_delay(tries, spread) <= 30
    assert retry_delay(tries, 1.0) <= retry_delay(tries + 1, 1.0)


def test_a_worker_whose_count_stands_still_is_gone() -> None:
    watch = Watch(30)
    assert watch.gone([("a", 1, 0), ("b", 1, 0)], now=100) == []
    assert watch.gone([("a", 1, 1), ("b", 1, 0)], now=129) == []
    assert watch.gone([("a", 1, 1), ("b", 1, 0)], now=130) == [("b", 1)]
    assert watch.gone([("a", 1, 1), ("b", 2, 0)], now=131) == []
    assert watch.gone([("a", 1, 1)], now=159) == [("a", 1)]


def test_a_clock_that_jumps_back_takes_nothing_away() -> None:
    watch = Watch(30)
    watch.gone([("a", 1, 0)], now=1000)
    assert watch.gone([("a", 1, 0)], now=10) == []
