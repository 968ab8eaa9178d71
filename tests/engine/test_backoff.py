"""When an app's next runner may be started."""

import pytest

from towpath.engine.backoff import Backoff
from towpath.engine.scaling import Demand, Plan, Scale, decide
from towpath.engine.steering import Orders, orders_in


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_start_that_succeeds_ends_the_wait_for_all() -> None:
    """promises N2."""
    clock = Clock()
    backoff = Backoff(clock)
    for seconds in (1, 2, 4, 8):
        backoff.note_failed_start()
        assert backoff.left == seconds
    backoff.note_start()
    assert not backoff.is_on
    backoff.note_failed_start()
    assert backoff.left == 1, "and the next failure is the first again"


def test_an_answer_of_another_runner_does_not_end_the_wait() -> None:
    """A sibling of N2: a good runner beside a broken start made starts without a pause."""
    backoff = Backoff(Clock())
    backoff.note_failed_start()
    backoff.note_answer()
    assert backoff.is_on


def test_a_death_at_work_is_not_the_apps() -> None:
    """trust T31."""
    clock = Clock()
    backoff = Backoff(clock)
    for _ in range(10):
        backoff.note_death_at_work()
    assert not backoff.is_on
    assert backoff.young_deaths == 0
    assert backoff.spares == 1
    clock.now += 11
    assert backoff.spares == 0


def test_a_young_death_without_work_is_the_apps_and_the_first_is_forgiven() -> None:
    """trust T31."""
    clock = Clock()
    backoff = Backoff(clock)
    backoff.note_idle_death(clock.now - 1, served=0)
    assert not backoff.is_on
    backoff.note_idle_death(clock.now - 1, served=0)
    assert backoff.left == 1
    backoff.note_idle_death(clock.now - 60, served=0)
    assert backoff.young_deaths == 0


@pytest.mark.parametrize(
    ("scale", "demand", "plan"),
    [
        (Scale(1, 2), Demand(0, [1.0] * 5, 0, 0, spares=1), Plan(3, 0)),
        (Scale(1, 2, room=2), Demand(0, [1.0] * 5, 0, 0, spares=1), Plan(2, 0)),
        (Scale(1, 1, room=1), Demand(0, [1.0], 0, 0, ending=1), Plan(0, 0)),
        (Scale(1, 1), Demand(0, [1.0], 0, 0, ending=1), Plan(1, 0)),
        (Scale(1, 2), Demand(2, [], 0, 3, idle=[0.0]), Plan(0, 1, 60.0)),
        (Scale(1, 2), Demand(2, [], 0, 3, idle=[0.0], spares=1), Plan(0, 0, None)),
    ],
)
def test_spares_come_with_trouble_and_go_with_it(scale, demand, plan) -> None:
    """trust T31: beyond what is allowed for a moment, and never beyond the GPUs."""
    assert decide(scale, demand) == plan


@pytest.mark.parametrize(
    ("status", "headers", "orders"),
    [
        (200, {}, Orders()),
        (500, {}, Orders()),
        (503, {}, Orders(stop=True)),
        (200, {"x-fal-stop-runner": "1"}, Orders(stop=True)),
        (404, {"x-fal-stop-runner": "True"}, Orders(stop=True)),
        (503, {"x-fal-stop-runner": "0"}, Orders()),
        (503, {"x-fal-stop-runner": "false"}, Orders()),
        (503, {"x-fal-stop-runner": "maybe"}, Orders(stop=True)),
        (200, {"x-fal-stop-runner": "maybe"}, Orders()),
        (200, {"x-fal-runner-health-check": "true"}, Orders(check=True)),
        (200, {"x-fal-runner-health-check": "no"}, Orders()),
    ],
)
def test_an_answer_says_what_becomes_of_its_runner(status, headers, orders) -> None:
    """promises R3, R14, N22."""
    assert orders_in(status, headers) == orders
