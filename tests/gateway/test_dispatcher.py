"""The dispatcher with a real queue and an engine whose runners are the test's."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.clock import system_clock
from towpath.gateway import dispatcher as dispatcher_room
from towpath.gateway.changes import Changes
from towpath.gateway.dispatcher import Dispatcher
from towpath.queue.opening import open_queue
from towpath.queue.requests import Claim, NewRequest, Outcome
from towpath.queue.store import RequestQueue
from towpath.runner.wire import AppSpec

APP = "local/a"
SPEC = AppSpec("a.py::A", "a", None, "", ("S",), None, 5, 1, ("/",), max_runners=1)


class Engine:
    """Has one app, and a place for each request when it has any."""

    def __init__(self) -> None:
        self.has_places = True

    def spec(self, owner: str, name: str) -> Any:
        return SPEC

    @asynccontextmanager
    async def acquire(
        self, name: str, *, hint: str | None = None, alone: bool = False
    ) -> AsyncIterator[Any]:
        if not self.has_places:
            await asyncio.Event().wait()
        yield SimpleNamespace()


class Silent:
    """A journal of requests that write nothing."""

    async def open(self, claim: Claim) -> None: ...

    async def close(self, request_id: str, *, grace: float | None = 0.0) -> None: ...

    async def settle(self, request_id: str) -> None: ...

    def drop(self, request_id: str) -> None: ...

    async def keep_flushing(self) -> None:
        await asyncio.sleep(0.01)


class Watched:
    """The queue, with some of its methods the test's."""

    def __init__(self, queue: RequestQueue, **instead: Any) -> None:
        self._queue = queue
        vars(self).update(instead)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RequestQueue]:
    own = open_queue(f"sqlite:///{tmp_path / 'queue.db'}", system_clock, max_length=100)
    yield own
    own.close()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_SECONDS", "_PAUSE_SECONDS"):
        monkeypatch.setattr(dispatcher_room, name, 0.02, raising=False)
    monkeypatch.setattr("towpath.gateway.worker._PAUSE_SECONDS", 0.02)


def play(
    queue: Any, story: Callable[[Dispatcher], Awaitable[None]], engine: Engine | None = None
) -> None:
    """Tell a story with a dispatcher that runs."""

    async def run() -> None:
        own = Dispatcher(
            *(queue, engine or Engine(), Silent(), Changes()),
            clock=system_clock,
            worker="w",
            retention=100.0,
        )
        await own.start()
        try:
            async with asyncio.timeout(30):
                await story(own)
        finally:
            await own.stop(grace=1)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def attempts(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome | Exception) -> list[int]:
    """Let attempts end so, one after the other, the last one again and again."""
    tries: list[int] = []

    async def attempt(claim: Claim, *_: object) -> Outcome:
        tries.append(claim.tries)
        outcome = outcomes[min(len(tries), len(outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("towpath.gateway.worker.attempt", attempt)
    return tries


def test_an_attempt_that_fails_by_our_own_fault_is_made_again(queue, monkeypatch) -> None:
    tries = attempts(monkeypatch, RuntimeError("ours"), Outcome("ok", 200, (), b"done"))
    queue.submit(NewRequest("1", APP))
    play(queue, lambda _: until(lambda: queue.read("1").state == "done"))
    assert len(tries) == 2
    assert queue.records.answer("1").body == b"done"


def test_it_is_not_made_again_where_the_caller_forbids_it(queue, monkeypatch) -> None:
    tries = attempts(monkeypatch, RuntimeError("the inner reason"))
    queue.submit(NewRequest("1", APP, retries=False))
    play(queue, lambda _: until(lambda: queue.read("1").state == "done"))
    assert len(tries) == 1
    answer = queue.records.answer("1")
    assert answer.status == 500
    assert b"inner reason" not in answer.body


def test_a_claim_that_is_interrupted_is_given_back(queue, monkeypatch) -> None:
    tries = attempts(monkeypatch, Outcome("ok", 200, (), b""))
    begun, free = threading.Event(), threading.Event()

    def claim(*given: Any, **named: Any) -> Claim | None:
        claimed = queue.claim(*given, **named)
        begun.set()
        free.wait(20)
        return claimed

    async def story(own: Dispatcher) -> None:
        await until(begun.is_set)
        assert queue.read("1").state == "running"
        stopping = asyncio.ensure_future(own.stop(grace=1))
        await asyncio.sleep(0.05)
        free.set()
        await stopping

    queue.submit(NewRequest("1", APP))
    play(Watched(queue, claim=claim), story)
    assert tries == []
    assert queue.read("1").state == "queued"


def test_who_is_not_started_in_time_is_told_how_long_he_waited(queue) -> None:
    engine = Engine()
    engine.has_places = False
    queue.submit(NewRequest("1", APP, start_within=0.05))
    play(queue, lambda _: until(lambda: queue.read("1").state == "done"), engine)
    answer = queue.records.answer("1")
    assert answer.status == 504
    waited = re.search(r"within ([\d.e+]+) s", answer.body.decode())
    assert 0 <= float(waited[1]) < 60


def test_all_that_is_past_its_retention_is_forgotten_batch_by_batch(queue) -> None:
    left, asked, swept = [500, 500, 3, 0], [], threading.Event()

    def forget_before(moment: float) -> int:
        asked.append(system_clock() - moment)
        return left.pop(0)

    records = SimpleNamespace(forget_before=forget_before)
    watched = Watched(queue, records=records, sweep_counts=swept.set)
    play(watched, lambda _: until(swept.is_set))
    assert left == []
    assert all(100 <= age < 160 for age in asked), "the retention is 100 s"
