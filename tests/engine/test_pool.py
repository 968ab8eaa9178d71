"""One app's runners, with processes that do as they are told."""

import asyncio
import errno
from dataclasses import replace

import pytest
from tests.support.fake_runners import (
    SPEC,
    FakeChild,
    make,
    play,
    until,
)

from towpath.engine.pool import Pool
from towpath.engine.scaling import Scale
from towpath.errors import AppSetupError, DeadlineError, RunnerUnreachableError
from towpath.net.upstream import RefusedError, ShortageError, UpstreamError
from towpath.runner.wire import HealthRoute


def test_a_runner_that_ends_is_replaced_at_once() -> None:
    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            first = lease.runner.child
        first.process.ended.set()
        await until(lambda: first.removed)
        async with pool.acquire(None) as lease:
            assert lease.runner.child is not first
        assert pool.restarts == 1

    play(make(2), story)


def test_a_failed_start_is_told_to_who_waits_and_kept_for_operators() -> None:
    async def story(pool: Pool) -> None:
        with pytest.raises(AppSetupError):
            async with pool.acquire(None):
                pass
        assert pool.state == "backoff"
        assert "boom" in pool.status().failure
        with pytest.raises(AppSetupError):  # at once, while it backs off
            async with pool.acquire(None):
                pass

    play([FakeChild(AppSetupError("a", traceback="Traceback: boom"))], story)


def test_places_are_given_in_turn_and_only_when_one_is_free() -> None:
    async def story(pool: Pool) -> None:
        order: list[int] = []

        async def call(number: int) -> None:
            async with pool.acquire(None) as lease:
                lease.begin(str(number))
                order.append(number)
                await asyncio.sleep(0.01)
                lease.finish(200, {})

        await asyncio.gather(*(call(number) for number in range(5)))
        assert order == [0, 1, 2, 3, 4]
        assert pool.status().idle == 1

    play(make(1), story)


def test_who_stops_waiting_takes_no_place() -> None:
    async def story(pool: Pool) -> None:
        async with pool.acquire(None):
            waiting = asyncio.create_task(enter(pool))
            await asyncio.sleep(0.02)
            assert pool.status().waiting == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert pool.status().waiting == 0
        async with pool.acquire(None):
            pass

    async def enter(pool: Pool) -> None:
        async with pool.acquire(None):
            await asyncio.sleep(60)

    play(make(1), story)


def test_a_hint_finds_the_runner_that_has_it_warm() -> None:
    async def story(pool: Pool) -> None:
        await until(lambda: pool.status().idle == 3)
        async with pool.acquire(None), pool.acquire(None) as lease:
            warm = lease.runner
            lease.begin("x")
            lease.finish(200, {"x-fal-runner-hints": "lora-a,lora-b"})
        for _ in range(3):
            async with pool.acquire("lora-b") as lease:
                assert lease.runner is warm
        async with pool.acquire("lora-c") as lease:
            assert lease.runner is not None

    play(make(3), story, Scale(3, 3))


def test_runners_come_with_the_work_and_go_without_it() -> None:
    children = make(4)

    async def story(pool: Pool) -> None:
        assert pool.status().idle == 0
        assert pool.state == "ready"
        async with pool.acquire(None), pool.acquire(None), pool.acquire(None):
            assert pool.status().busy == 3
        await until(lambda: pool.status().idle == 0)
        assert sum(child.removed for child in children) == 3

    play(children, story, Scale(0, 4, keep_alive=0.05))


def test_an_app_says_how_long_its_requests_wait() -> None:
    async def story(pool: Pool) -> None:
        async with pool.acquire(None):
            with pytest.raises(DeadlineError, match="did not start"):
                async with pool.acquire(None):
                    pass

    play(make(1), story, request_start_timeout=0.05)


def test_a_runner_that_answers_503_gets_no_more_requests() -> None:
    children = make(2)

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            lease.begin("x")
            lease.finish(503, {})
        await until(lambda: children[0].removed)
        async with pool.acquire(None) as lease:
            assert lease.runner.child is children[1]

    play(children, story)


def test_a_runner_that_is_not_well_is_replaced() -> None:
    children = make(2)

    async def story(pool: Pool) -> None:
        await until(lambda: pool.status().idle == 1)
        children[0].upstream.status = 500
        await until(lambda: children[0].removed)
        await until(lambda: pool.status().idle == 1)

    play(children, story)


def test_new_code_replaces_the_old_only_when_it_is_ready() -> None:
    old, broken, new = FakeChild(), FakeChild(AppSetupError("a")), FakeChild()

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            lease.begin("old")
            with pytest.raises(AppSetupError):
                await pool.renew(SPEC)
            assert not old.removed
            await pool.renew(SPEC)
            async with pool.acquire(None) as fresh:
                assert fresh.runner.child is new
            assert not old.removed, "it is still at work"
            lease.finish(200, {})
        await until(lambda: old.removed)

    play([old, broken, new], story)


def test_runners_that_die_young_are_started_later_and_later() -> None:
    children = make(3)

    async def story(pool: Pool) -> None:
        for child in children[:2]:
            await until(lambda: pool.status().idle == 1)
            child.process.ended.set()
            await until(lambda child=child: child.removed)
        with pytest.raises(RunnerUnreachableError):
            async with pool.acquire(None):
                pass
        assert pool.state == "backoff"

    play(children, story)


def test_runners_that_die_of_requests_are_replaced_at_once() -> None:
    """trust T31: five in a row, and nobody else is told that the app cannot start."""
    children = make(20)

    async def story(pool: Pool) -> None:
        for number in range(5):
            async with pool.acquire(None) as lease:
                child = lease.runner.child
                lease.begin(str(number))
                child.upstream.error = UpstreamError()
                child.process.ended.set()
            assert pool.state != "backoff"
        async with pool.acquire(None) as lease:
            lease.finish(200, {})
        assert pool.failure is None
        await until(lambda: pool.restarts == 5)

    play(children, story, Scale(1, 1))


def test_a_runner_that_is_silent_gets_no_more_requests_and_is_replaced() -> None:
    """trust T52: from the first sign on, also where it has places left."""
    children = make(2)

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            lease.begin("x")
            children[0].upstream.is_silent = True
        async with pool.acquire(None) as lease:
            assert lease.runner.child is children[1]
        assert not children[0].removed
        children[0].upstream.is_silent = False
        await until(lambda: pool.status().idle == 2)

    play(children, story, Scale(1, 1, slots=4), grace=5)


def test_a_runner_that_cannot_end_a_request_is_killed() -> None:
    """trust T52."""
    children = make(2)

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            lease.begin("x")
            children[0].upstream.is_silent = True
        await until(lambda: children[0].removed)

    play(children, story, Scale(1, 1), grace=0)


def test_a_runner_that_cannot_be_reached_is_replaced() -> None:
    """trust T42: its socket was removed; found by a request, and without one."""
    children = make(3)

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            lease.begin("x")
            children[0].upstream.error = RefusedError()
        await until(lambda: children[0].removed)
        await until(lambda: pool.status().idle == 1)
        children[1].upstream.error = RefusedError()
        await until(lambda: children[1].removed)
        async with pool.acquire(None) as lease:
            assert lease.runner.child is children[2]

    play(children, story)


def test_a_server_short_of_descriptors_blames_no_runner_and_no_app() -> None:
    """trust T42."""
    short = OSError(errno.EMFILE, "too many open files")
    children = [FakeChild(short), FakeChild(), FakeChild()]

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:  # after the second start
            lease.begin("x")
            children[1].upstream.error = ShortageError()
        await asyncio.sleep(0.3)
        assert not children[1].removed
        children[1].upstream.error = None
        await until(lambda: pool.status().idle == 1)
        assert pool.failure is None
        async with pool.acquire(None) as lease:
            assert lease.runner.child is children[1]

    play(children, story)


@pytest.mark.parametrize(
    ("status", "headers", "health", "is_replaced"),
    [
        (200, {"x-fal-stop-runner": "1"}, 204, True),
        (503, {"x-fal-stop-runner": "0"}, 204, False),
        (200, {"x-fal-runner-health-check": "true"}, 500, True),
        (200, {"x-fal-runner-health-check": "true"}, 204, False),
        (200, {}, 500, False),
    ],
)
def test_an_answer_steers_its_runner(status, headers, health, is_replaced) -> None:
    """promises R14, N22: one failure is enough, whatever the threshold and the start period."""
    children = make(2)
    check = HealthRoute("/health", 600.0, 5.0, 3, regularly=False)

    async def story(pool: Pool) -> None:
        async with pool.acquire(None) as lease:
            lease.begin("x")
            children[0].upstream.status = health
            lease.finish(status, headers)
        await asyncio.sleep(0.1)
        assert children[0].removed == is_replaced

    play(children, story, health=check)


def test_the_newer_of_two_renewals_stays() -> None:
    """A sibling of trust T35: what was decided before a wait may be old after it."""
    first, slow, quick = FakeChild(), FakeChild(delay=0.1), FakeChild()
    newer = replace(SPEC, title="newer")

    async def story(pool: Pool) -> None:
        await until(lambda: pool.status().idle == 1)
        older = asyncio.create_task(pool.renew(replace(SPEC, title="older")))
        await asyncio.sleep(0.01)
        await asyncio.gather(older, pool.renew(newer))
        assert pool.spec == newer
        async with pool.acquire(None) as lease:
            assert lease.runner.child is quick

    play([first, slow, quick], story)


def test_a_start_that_fails_as_nobody_foresaw_backs_off_and_leaves_nothing() -> None:
    """trust T42"""
    children = [FakeChild(RuntimeError("can't start new thread")), *make(3)]

    async def story(pool: Pool) -> None:
        with pytest.raises(AppSetupError):
            async with pool.acquire(None):
                pass
        assert pool.state == "backoff"
        assert children[0].removed

    play(children, story)
