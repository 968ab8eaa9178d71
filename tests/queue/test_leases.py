import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.app.retrying import MOST_TRIES, RetryBudgets
from towpath.queue.leases import Watch, condition_of, retry_delay, verdict
from towpath.queue.requests import Claim, Failures

ERROR = "x-fal-error-type"
NEEDS = "x-fal-needs-retry"
LOST = {ERROR: "runner_disconnected"}
LATE = {ERROR: "request_timeout"}
NONE, ONE, NINE = Failures(), Failures(connection_error=1), Failures(server_error=9)


def claim(tries: int, failures: Failures, *, retries: bool = True) -> Claim:
    return Claim("a", "local/a", "/", "POST", tries, tries, "w", retries, failures=failures)


@pytest.mark.parametrize(
    ("status", "headers", "tries", "failures", "word"),
    [
        (200, {}, 1, NONE, None),
        (404, {}, 1, NONE, None),
        (422, LOST, 1, NONE, None),
        (500, {}, 1, NONE, None),
        (502, {}, 1, NONE, None),
        (503, {}, 1, NONE, "server_error"),
        (504, {}, 1, NONE, "server_error"),
        (502, {ERROR: "runner_incomplete_response"}, 1, NONE, "server_error"),
        (503, {}, 9, Failures(server_error=8), "server_error"),
        (503, {}, 10, NINE, None),
        (503, LOST, 1, NONE, "connection_error"),
        (503, LOST, 2, ONE, None),
        (503, LOST, 9, Failures(server_error=8), "connection_error"),
        (503, {ERROR: "oom"}, 1, NONE, "connection_error"),
        (503, {ERROR: "oom"}, 2, ONE, None),
        (503, {}, 2, ONE, "server_error"),
        (504, LATE, 1, NONE, None),
        (504, {**LATE, "x-fal-request-timeout-type": "user"}, 1, NONE, None),
        (503, {NEEDS: "0"}, 1, NONE, None),
        (500, {NEEDS: "1"}, 1, NONE, "server_error"),
        (429, {NEEDS: "1"}, 1, NONE, "server_error"),
        (429, {}, 1, NONE, None),
        (200, {NEEDS: "1"}, 1, NONE, None),
        (404, {NEEDS: "1"}, 1, NONE, None),
        (504, {**LATE, NEEDS: "1"}, 1, NONE, "timeout"),
        (500, {NEEDS: "1"}, MOST_TRIES, NINE, None),
        (500, {NEEDS: "maybe"}, 1, NONE, None),
        (503, {"x-fal-no-retry": "true"}, 1, NONE, None),
        (503, {"x-fal-no-retry": "0"}, 1, NONE, "server_error"),
    ],
)
def test_what_is_tried_again(status, headers, tries, failures, word) -> None:
    """trust T31, T32, promises R9 to R13, 7a: by the default budgets."""
    assert verdict(status, headers, claim(tries, failures), RetryBudgets()) == word
    refused = claim(tries, failures, retries=False)
    assert verdict(status, headers, refused, RetryBudgets()) is None


@pytest.mark.parametrize(
    ("budgets", "status", "headers", "failures", "word"),
    [
        (RetryBudgets(timeout=2), 504, LATE, Failures(timeout=1), "timeout"),
        (RetryBudgets(timeout=2), 504, LATE, Failures(timeout=2), None),
        (RetryBudgets(server_error=0), 503, {}, NONE, None),
        (RetryBudgets(connection_error=0), 503, LOST, NONE, None),
        (RetryBudgets(connection_error=5), 503, {ERROR: "oom"}, ONE, "connection_error"),
        (RetryBudgets(server_error=0), 503, LOST, NONE, "connection_error"),
    ],
)
def test_each_condition_has_a_budget_of_its_own(budgets, status, headers, failures, word) -> None:
    """trust T32."""
    assert verdict(status, headers, claim(3, failures), budgets) == word


@given(
    st.integers(100, 999),
    st.dictionaries(st.sampled_from([ERROR, NEEDS, "x-fal-no-retry"]), st.text(max_size=8)),
    st.builds(RetryBudgets, *[st.integers(0, 99)] * 3),
)
def test_no_answer_is_tried_more_than_ten_times(status, headers, budgets) -> None:
    """trust T32: the ceiling holds whatever is asked for."""
    failures, tries = {"server_error": 0, "timeout": 0, "connection_error": 0}, 1
    while word := verdict(status, headers, claim(tries, Failures(**failures)), budgets):
        failures[word] += 1
        tries += 1
    assert tries <= MOST_TRIES


def test_a_status_below_500_is_no_condition() -> None:
    assert condition_of(404, LOST) is None


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
