import asyncio
from dataclasses import replace

import pytest

from towpath.engine.local import machine_warning
from towpath.engine.supervisor import Supervisor, backoff_seconds
from towpath.errors import AppSetupError, StartTimeoutError
from towpath.runner.wire import AppSpec

SPEC = AppSpec("a.py::A", "a", None, "", ("S",), None, 5, 5, ("/",))


class FakeProcess:
    def __init__(self) -> None:
        self.pid = 1
        self.ended = asyncio.Event()

    async def wait(self) -> int:
        await self.ended.wait()
        return 0


class FakeChild:
    def __init__(self, failure: Exception | None = None, delay: float = 0) -> None:
        self.spec = SPEC
        self.process = FakeProcess()
        self.failure = failure
        self.delay = delay
        self.removed = False

    async def ready(self) -> None:
        await asyncio.sleep(self.delay)
        if self.failure:
            raise self.failure

    async def remove(self) -> None:
        self.removed = True

    async def stop(self, *, grace: float) -> None:
        self.removed = True


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 1), (2, 2), (3, 4), (7, 60), (99, 60)]
)
def test_failed_starts_are_tried_again_later_and_later(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures) == seconds


def run_with(children: list[FakeChild], story) -> None:
    async def run() -> None:
        left = iter(children)

        async def start(spec: AppSpec) -> FakeChild:
            return next(left)

        supervisor = Supervisor(SPEC, start)
        supervisor.launch()
        await story(supervisor)
        await supervisor.stop()

    asyncio.run(run())


def test_a_runner_that_ends_is_replaced() -> None:
    first, second = FakeChild(), FakeChild()

    async def story(supervisor: Supervisor) -> None:
        assert await supervisor.acquire() is first
        first.process.ended.set()
        while not first.removed:
            await asyncio.sleep(0)
        assert await supervisor.acquire() is second
        assert supervisor.restarts == 1

    run_with([first, second], story)


def test_a_failed_start_is_told_to_who_waits() -> None:
    async def story(supervisor: Supervisor) -> None:
        with pytest.raises(AppSetupError):
            await supervisor.acquire()
        assert supervisor.state == "backoff"

    run_with([FakeChild(AppSetupError("a", traceback="Traceback: boom"))], story)


def test_a_start_that_takes_too_long_is_a_timeout() -> None:
    async def story(supervisor: Supervisor) -> None:
        supervisor.spec = replace(SPEC, startup_timeout=0.05)
        with pytest.raises(StartTimeoutError):
            await supervisor.acquire()

    run_with([FakeChild(delay=60)], story)


def test_new_code_replaces_the_old_only_when_it_is_ready() -> None:
    old, broken, new = FakeChild(), FakeChild(AppSetupError("a")), FakeChild()

    async def story(supervisor: Supervisor) -> None:
        await supervisor.acquire()
        assert not await supervisor.renew(SPEC)
        assert await supervisor.acquire() is old
        assert await supervisor.renew(SPEC)
        assert await supervisor.acquire() is new
        assert old.removed

    run_with([old, broken, new], story)


@pytest.mark.parametrize(
    ("machine", "gpus", "has_gpu", "warns"),
    [
        (("GPU-A100",), None, False, True),
        (("GPU-A100",), None, True, False),
        (("S",), None, False, False),
        (("S",), 2, False, True),
        (("GPU-H100", "S"), None, False, True),
    ],
)
def test_a_wish_that_the_machine_cannot_grant_is_one_warning(machine, gpus, has_gpu, warns) -> None:
    spec = replace(SPEC, machine_type=machine, num_gpus=gpus)
    assert (machine_warning(spec, has_gpu=has_gpu) is not None) is warns
