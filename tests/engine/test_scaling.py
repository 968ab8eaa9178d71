import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.engine.scaling import Demand, Plan, Scale, backoff_seconds, decide

ONE = Scale(least=1, most=1)
MANY = Scale(least=0, most=4, slots=2, keep_alive=60)


@pytest.mark.parametrize(
    ("scale", "demand", "plan"),
    [
        (ONE, Demand(0, [], 0, 0), Plan(start=1)),
        (ONE, Demand(0, [], 1, 0), Plan()),
        (ONE, Demand(1, [0.0] * 9, 0, 1), Plan()),
        (ONE, Demand(0, [], 0, 1, [9999.0]), Plan()),
        (MANY, Demand(0, [], 0, 0), Plan()),
        (MANY, Demand(0, [0.0], 0, 0), Plan(start=1)),
        (MANY, Demand(2, [0.0], 0, 1), Plan(start=1)),
        (MANY, Demand(2, [0.0] * 3, 0, 1), Plan(start=2)),
        (MANY, Demand(2, [0.0] * 99, 1, 1), Plan(start=2)),
        (MANY, Demand(0, [], 0, 2, [10.0, 70.0]), Plan(stop=1, again=50.0)),
        (MANY, Demand(1, [], 0, 2, [70.0]), Plan(stop=1)),
        (Scale(0, 4, buffer=1), Demand(0, [], 0, 0), Plan(start=1)),
        (Scale(0, 4, buffer=1), Demand(2, [], 0, 2), Plan(start=1)),
        (Scale(0, 4, buffer=1), Demand(0, [], 0, 2, [99.0, 98.0]), Plan(stop=1)),
        (Scale(1, 4, delay=5), Demand(1, [2.0], 0, 1), Plan(again=3.0)),
        (Scale(1, 4, delay=5), Demand(1, [5.0], 0, 1), Plan(start=1)),
        (Scale(0, 4, delay=5), Demand(0, [0.0], 0, 0), Plan(start=1)),
    ],
)
def test_how_many_runners(scale: Scale, demand: Demand, plan: Plan) -> None:
    assert decide(scale, demand) == plan


small = st.integers(0, 6)


@given(small, small, st.integers(1, 4), small, small, st.lists(st.floats(0, 100), max_size=9))
def test_there_are_never_more_than_allowed_and_never_fewer_than_kept(
    least: int, more: int, slots: int, starting: int, ready: int, waits: list[float]
) -> None:
    scale = Scale(least, max(1, least + more), slots=slots)
    idle = [100.0] * ready
    plan = decide(scale, Demand(0, waits, starting, ready, idle))
    after = starting + ready + plan.start - plan.stop
    assert plan.start == 0 or starting + ready + plan.start <= scale.most
    assert after >= min(scale.least, starting + ready + plan.start)
    assert not (plan.start and plan.stop)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 1), (2, 2), (3, 4), (7, 60), (99, 60)]
)
def test_failed_starts_are_tried_again_later_and_later(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures) == seconds
