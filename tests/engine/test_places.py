"""Who has a place, and who waits for one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.engine.test_pool import FakeChild

from towpath.engine.places import Places, Runner


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def play(story: Callable[[Places, Clock], Awaitable[None]], *, runners: int, slots: int) -> None:
    async def run() -> None:
        clock = Clock()
        places = Places(clock)
        places.runners += [Runner(FakeChild(), slots, 0.0) for _ in range(runners)]
        await asyncio.wait_for(story(places, clock), 10)

    asyncio.run(run())


def test_a_place_that_is_given_back_unused_is_idle_since_then() -> None:
    """trust T35: the clock is asked when it happens, not before the wait."""

    async def story(places: Places, clock: Clock) -> None:
        runner = places.take_now(None)
        assert runner is not None
        waiting = asyncio.create_task(places.take(None))
        await asyncio.sleep(0)
        clock.now = 400.0
        places.release(runner)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (runner.taken, runner.idle_since) == (0, 400.0)

    play(story, runners=1, slots=1)


def test_a_wait_begins_when_it_begins() -> None:
    """trust T35."""

    async def story(places: Places, clock: Clock) -> None:
        places.take_now(None)
        clock.now = 250.0
        waiting = asyncio.create_task(places.take(None))
        await asyncio.sleep(0)
        assert places.waiting[0].since == 250.0
        waiting.cancel()

    play(story, runners=1, slots=1)


def test_who_is_to_be_alone_has_a_runner_emptied_and_the_others_go_on() -> None:
    """trust T31."""

    async def story(places: Places, _: Clock) -> None:
        first, second = places.take_now(None), places.take_now(None)
        assert first is not None
        assert second is not None
        assert first is not second
        alone = asyncio.create_task(places.take(None, alone=True))
        await asyncio.sleep(0)
        kept = next(runner for runner in places.runners if runner.only_for is not None)
        other = next(runner for runner in places.runners if runner is not kept)
        assert await places.take(None) is other
        assert places.take_now(None) is None, "the other is full, and one is kept"
        places.release(kept)
        assert await alone is kept
        assert kept.busy == kept.slots
        waiting = asyncio.create_task(places.take(None))
        await asyncio.sleep(0)
        assert not waiting.done()
        places.release(kept)
        assert await waiting is kept
        assert kept.only_for is None

    play(story, runners=2, slots=2)


def test_who_stops_waiting_to_be_alone_keeps_nobody_out() -> None:
    """trust T31."""

    async def story(places: Places, _: Clock) -> None:
        assert places.take_now(None) is not None
        alone = asyncio.create_task(places.take(None, alone=True))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(places.take(None))
        await asyncio.sleep(0)
        assert not waiting.done()
        alone.cancel()
        assert await waiting is places.runners[0]

    play(story, runners=1, slots=2)


def test_a_runner_with_unended_work_takes_nobody() -> None:
    """trust T52."""

    async def story(places: Places, _: Clock) -> None:
        places.runners[0].unended = 1
        assert places.take_now(None) is None
        waiting = asyncio.create_task(places.take(None))
        await asyncio.sleep(0)
        places.runners[0].unended = 0
        places.give()
        assert await waiting is places.runners[0]

    play(story, runners=1, slots=4)
