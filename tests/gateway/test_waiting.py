"""Requests whose app cannot start do not wait for ever."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from towpath.gateway import waiting
from towpath.gateway.changes import Changes
from towpath.gateway.waiting import Unstarted
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest
from towpath.queue.store import RequestQueue


class Time:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """Has one app, whose last start failed."""

    specs = (SimpleNamespace(name="a", startup_timeout=10.0),)

    def __init__(self) -> None:
        self.faults: list[Exception] = []

    def statuses(self) -> dict[str, Any]:
        if self.faults:
            raise self.faults.pop()
        return {"a": SimpleNamespace(failure="it fell", idle=0, busy=0)}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def queue(tmp_path: Path, time: Time) -> Iterator[RequestQueue]:
    opened = open_queue(f"sqlite:///{tmp_path}/queue.db", time, max_length=100)
    yield opened
    opened.close()


def looker(queue: RequestQueue, engine: Engine, time: Time) -> Unstarted:
    return Unstarted(queue, cast("Any", engine), Changes(), owner="local", clock=time)


def test_those_behind_many_younger_ones_end_too(
    queue: RequestQueue, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T45: a list begins with the youngest, and new ones come all the time."""
    monkeypatch.setattr(waiting, "_PAGE", 3)
    unstarted = looker(queue, Engine(), time)

    async def story() -> None:
        await unstarted.look()
        queue.submit(NewRequest("old", "local/a"))
        time.now = 11
        for number in range(8):
            queue.submit(NewRequest(f"young {number}", "local/a"))
        await unstarted.look()

    asyncio.run(story())
    assert queue.read("old").error_type == "startup_timeout"
    assert queue.waiting() == {"local/a": 8}


def test_a_fault_of_one_look_does_not_end_the_others(
    queue: RequestQueue, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T45: nobody else would end what waits."""
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0.01)
    engine = Engine()
    engine.faults = [RuntimeError("one"), KeyError("two")]
    queue.submit(NewRequest("old", "local/a"))

    async def story() -> None:
        looking = asyncio.ensure_future(looker(queue, engine, time).keep_looking())
        while queue.read("old").state != "done":
            time.now += 1
            await asyncio.sleep(0.01)
            assert not looking.done()
        looking.cancel()

    asyncio.run(asyncio.wait_for(story(), 20))
