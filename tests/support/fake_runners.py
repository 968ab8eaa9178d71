"""One app's runners, with processes that do as they are told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Self

from towpath.engine.pool import Pool
from towpath.engine.scaling import Scale
from towpath.errors import AppSetupError
from towpath.net.upstream import UpstreamError
from towpath.runner.wire import AppSpec

SPEC = AppSpec("a.py::A", "a", None, "", ("S",), None, 5, 1, ("/",))


class FakeProcess:
    pid = 1

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    @property
    def returncode(self) -> int | None:
        return 0 if self.ended.is_set() else None

    async def wait(self) -> int:
        await self.ended.wait()
        return 0


class FakeUpstream:
    """Says that every request is over, or what it is told to."""

    def __init__(self) -> None:
        self.status = 204
        self.is_silent = False
        self.error: UpstreamError | None = None

    closed = False

    async def request(self, method: str, url: object, **options: object) -> Self:
        if self.error is not None:
            raise self.error
        while self.is_silent:
            await asyncio.sleep(0.005)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> bytes:
        return b""


class FakeChild:
    def __init__(self, failure: Exception | None = None, delay: float = 0) -> None:
        self.spec = SPEC
        self.process = FakeProcess()
        self.upstream = FakeUpstream()
        self.failure, self.delay = failure, delay
        self.removed = False
        self.is_killed = False
        self.requests: set[str] = set()

    async def ready(self) -> None:
        await asyncio.sleep(self.delay)
        if self.failure:
            raise self.failure

    async def remove(self) -> None:
        self.removed = True
        self.process.ended.set()

    async def stop(self, *, grace: float) -> None:
        await self.remove()

    def kill(self) -> None:
        self.process.ended.set()


Story = Callable[[Pool], Awaitable[None]]


def play(children: list[FakeChild], story: Story, scale: Scale | None = None, **spec) -> None:
    left: Iterator[FakeChild] = iter(children)

    async def start(_: AppSpec) -> FakeChild:
        child = next(left, None) or FakeChild(AppSetupError("a"))
        if isinstance(child.failure, OSError):
            raise child.failure
        return child

    async def run() -> None:
        given = scale or Scale(1, 1)
        pool = Pool(replace(SPEC, **spec), start, lambda _: given, health_seconds=0.05)
        pool.launch()
        try:
            await asyncio.wait_for(story(pool), 10)
        finally:
            await pool.stop(grace=0)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def make(count: int, **how) -> list[FakeChild]:
    return [FakeChild(**how) for _ in range(count)]
