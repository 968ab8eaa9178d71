"""Work on one request: whatever goes wrong, it is ended or given back, and no place waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from towpath.clock import system_clock
from towpath.errors import QueueUnavailableError
from towpath.gateway import worker as worker_room
from towpath.gateway.changes import Changes
from towpath.gateway.journal import Journal
from towpath.gateway.worker import Worker
from towpath.queue.opening import open_queue
from towpath.queue.requests import Claim, NewRequest, Outcome
from towpath.queue.store import RequestQueue
from towpath.runner.wire import AppSpec

APP = "local/a"
SPEC = AppSpec("a.py::A", "a", None, "", ("S",), None, 5, 1, ("/",))


class FakeEngine:
    """Has one place, and knows when it was free again."""

    def __init__(self) -> None:
        self.is_free = asyncio.Event()
        self.alone: list[bool] = []

    @asynccontextmanager
    async def acquire(self, app: str, *, hint: str | None, alone: bool) -> AsyncIterator[object]:
        self.alone.append(alone)
        self.is_free.clear()
        try:
            yield object()
        finally:
            self.is_free.set()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RequestQueue]:
    opened = open_queue(f"sqlite:///{tmp_path}/queue.db", system_clock, max_length=10)
    opened.submit(NewRequest("a", APP))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_room, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("towpath.gateway.journal._END_SECONDS", 0.01)


Story = Callable[[Worker, FakeEngine], Awaitable[None]]


def play(queue: RequestQueue, monkeypatch: pytest.MonkeyPatch, outcome: Any, story: Story) -> None:
    async def attempt(*_: object) -> Outcome:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def run() -> None:
        monkeypatch.setattr(worker_room, "attempt", attempt)
        engine, changes = FakeEngine(), Changes()
        journal = Journal(queue, changes, most_bytes=100)
        clock = system_clock
        worker = Worker(queue, engine, journal, changes, clock=clock, name="w")
        await asyncio.wait_for(story(worker, engine), 20)
        assert worker.attempts == {}

    asyncio.run(run())


async def once(worker: Worker, line: str = "usual") -> bool:
    return await worker.work_once(APP, SPEC, line, placed=lambda: None, released=lambda: None)


def failing(times: int, error: Exception, then: Callable[..., Any]) -> Callable[..., Any]:
    left = [error] * times

    def call(*args: object, **more: object) -> Any:
        if left:
            raise left.pop()
        return then(*args, **more)

    return call


@pytest.mark.parametrize("error", [ValueError("odd"), UnicodeEncodeError("utf-8", "x", 0, 1, "y")])
@pytest.mark.parametrize("where", ["attempt", "finish", "note", "close"])
def test_any_unexpected_error_ends_the_request_or_gives_it_back(
    queue, monkeypatch, error, where
) -> None:
    """trust T40: and never strands its claim."""

    async def story(worker: Worker, _: FakeEngine) -> None:
        if where == "finish":
            monkeypatch.setattr(queue, "finish", failing(1, error, queue.finish))
        if where == "note":
            monkeypatch.setattr(queue, "note", failing(9, error, queue.note))
        if where == "close":
            monkeypatch.setattr(Journal, "close", failing(1, error, Journal.close))
        assert await once(worker)
        assert queue.read("a").state in {"done", "queued"}

    play(queue, monkeypatch, error if where == "attempt" else Outcome("ok"), story)


def test_an_answer_that_cannot_be_written_is_replaced_by_one_that_says_nothing(
    queue, monkeypatch
) -> None:
    """trust T40."""

    async def story(worker: Worker, _: FakeEngine) -> None:
        monkeypatch.setattr(queue, "finish", failing(1, ValueError(), queue.finish))
        await once(worker)
        assert (queue.read("a").kind, queue.read("a").status) == ("error", 500)

    play(queue, monkeypatch, Outcome("ok"), story)


def test_a_place_is_free_before_the_answer_is_written_down(queue, monkeypatch) -> None:
    """trust T50: the database may be away for long."""

    async def story(worker: Worker, engine: FakeEngine) -> None:
        away = failing(5, QueueUnavailableError("away"), queue.finish)
        monkeypatch.setattr(queue, "finish", away)
        working = asyncio.create_task(once(worker))
        await engine.is_free.wait()
        assert queue.read("a").state == "running"
        assert await working
        assert queue.read("a").kind == "ok"

    play(queue, monkeypatch, Outcome("ok"), story)


def test_a_place_does_not_wait_for_a_claim_and_a_late_one_is_given_back(queue, monkeypatch) -> None:
    """trust T50."""
    monkeypatch.setattr(worker_room, "_PLACE_SECONDS", 0.05)
    claim = queue.claim

    def slow(*args: object, **more: object) -> object:
        time.sleep(0.2)
        return claim(*args, **more)

    async def story(worker: Worker, engine: FakeEngine) -> None:
        monkeypatch.setattr(queue, "claim", slow)
        with pytest.raises(QueueUnavailableError):
            await once(worker)
        assert engine.is_free.is_set()
        while queue.read("a").state != "queued" or queue.read("a").attempt == 0:
            await asyncio.sleep(0.01)

    play(queue, monkeypatch, Outcome("ok"), story)


def test_a_server_that_stops_does_not_wait_for_its_database(queue, monkeypatch) -> None:
    """A sibling of trust T50: what it held is put back at its next start."""

    async def story(worker: Worker, _: FakeEngine) -> None:
        away = failing(10**6, QueueUnavailableError("away"), queue.finish)
        monkeypatch.setattr(queue, "finish", away)
        await worker.stop(grace=0)
        await once(worker)
        assert queue.take_back_all("w") == 1

    play(queue, monkeypatch, Outcome("ok"), story)


def test_suspects_run_alone(queue, monkeypatch) -> None:
    """trust T31."""

    async def story(worker: Worker, engine: FakeEngine) -> None:
        await once(worker)
        queue.promote(system_clock() + 60)
        assert not await once(worker), "it has left the usual line"
        assert await once(worker, "suspect")
        assert engine.alone == [False, False, True]
        assert queue.read("a").error_type == "runner_disconnected"

    lost = (("x-fal-error-type", "runner_disconnected"),)
    outcome = Outcome("error", 503, lost, error_type="runner_disconnected")
    play(queue, monkeypatch, outcome, story)


def test_the_file_of_an_answer_that_is_tried_again_is_removed(queue, monkeypatch) -> None:
    """trust T9: ten tries would leave ten files for a day."""
    names = [f"a.answer-{number}" for number in (1, 2)]
    outcome = Outcome("error", 503, ((":file", names[0]),))
    for name in names:
        queue.payloads.path(name).write_bytes(b"12")

    async def story(worker: Worker, _: FakeEngine) -> None:
        assert await once(worker)
        assert queue.read("a").state == "queued"

    play(queue, monkeypatch, outcome, story)
    assert not queue.payloads.path(names[0]).exists()
    assert queue.payloads.path(names[1]).exists()


def test_the_file_of_an_answer_that_is_kept_stays(queue, monkeypatch) -> None:
    name = "a.answer-1"
    queue.payloads.path(name).write_bytes(b"12")

    async def story(worker: Worker, _: FakeEngine) -> None:
        assert await once(worker)

    play(queue, monkeypatch, Outcome("ok", 200, ((":file", name),)), story)
    assert queue.payloads.path(name).exists()


def test_a_body_that_cannot_be_removed_leaves_no_attempt_behind(queue, monkeypatch) -> None:
    """trust T40: what is over is not renewed for ever."""

    def fails(*_: object) -> None:
        raise OSError("busy")

    async def story(worker: Worker, _: FakeEngine) -> None:
        monkeypatch.setattr(worker_room, "forget_body", fails)
        with pytest.raises(OSError, match="busy"):
            await once(worker)
        assert queue.read("a").state == "done"

    play(queue, monkeypatch, Outcome("ok"), story)


def test_a_server_that_stops_begins_no_attempt_after_it(
    queue: RequestQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T40: `stop` knows the attempts that have begun, and not one about to begin."""

    async def story(worker: Worker, _: FakeEngine) -> None:
        opened = worker._journal.open

        async def open_while_the_server_stops(claim: Claim) -> None:
            await worker.stop(grace=0)
            await opened(claim)

        monkeypatch.setattr(worker._journal, "open", open_while_the_server_stops)
        assert await once(worker)
        assert queue.read("a").state == "queued"

    play(queue, monkeypatch, Outcome("ok", 200, (), b"{}"), story)


def test_an_attempt_is_stopped_once_and_one_that_is_over_not_at_all(
    queue: RequestQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's second word of it must not cut off what the first one began."""

    class Work:
        cancels = 0

        def cancel(self) -> None:
            self.cancels += 1

    async def story(worker: Worker, _: FakeEngine) -> None:
        work: Any = Work()
        worker.stop_attempt("unknown")
        worker.attempts["a"] = (None, work)  # type: ignore[assignment]  # its claim is not asked
        worker.stop_attempt("a")
        worker.stop_attempt("a")
        del worker.attempts["a"]
        assert work.cancels == 1

    play(queue, monkeypatch, None, story)
