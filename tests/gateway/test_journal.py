"""What requests write, on its way into the queue."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from towpath.clock import system_clock
from towpath.engine.pipes import Event
from towpath.errors import QueueUnavailableError
from towpath.gateway.changes import Changes
from towpath.gateway.journal import Journal
from towpath.queue.opening import open_queue
from towpath.queue.requests import Claim, NewRequest
from towpath.queue.store import RequestQueue


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RequestQueue]:
    opened = open_queue(f"sqlite:///{tmp_path}/queue.db", system_clock, max_length=10)
    yield opened
    opened.close()


def claimed(queue: RequestQueue) -> Claim:
    queue.submit(NewRequest("a", "local/app"))
    claim = queue.claim(["local/app"], worker="w", now=0)
    assert claim is not None
    return claim


def write(queue: RequestQueue, claim: Claim, *messages: str, most: int = 2**20) -> list[str]:
    async def story() -> None:
        journal = Journal(queue, Changes(), most_bytes=most)
        await journal.open(claim)
        for message in messages:
            journal.hear(Event("log", "a", "STDOUT", message, 1.0))
        journal.hear(Event("progress", "a", message='{"done": 1}'))
        journal.hear(Event("end", "a"))
        await journal.close("a")

    asyncio.run(story())
    return [line.message for _, line in queue.records.logs("a")]


def test_a_flood_of_lines_is_written_down_whole_and_in_order(queue: RequestQueue) -> None:
    messages = [str(number) for number in range(25_000)]
    assert write(queue, claimed(queue), *messages) == messages
    assert queue.read("a").progress == '{"done": 1}'


def test_a_log_that_is_too_long_says_where_it_ends(queue: RequestQueue) -> None:
    lines = write(queue, claimed(queue), "ä" * 10, "b" * 10, "c", "d", most=32)
    dropped = "more than 32 bytes: the rest of this log is dropped"
    assert lines == ["ä" * 10, "b" * 10, dropped]


def test_a_second_attempt_goes_on_below_the_first(queue: RequestQueue) -> None:
    claim = claimed(queue)
    assert write(queue, claim, "one") == ["one"]
    queue.take_back([("a", claim.attempt)])
    again = queue.claim(["local/app"], worker="w", now=0)
    assert again is not None
    assert write(queue, again, "two") == ["one", "two"]


async def closed_during_a_write(
    queue: RequestQueue, monkeypatch: pytest.MonkeyPatch, noted: Callable[..., None]
) -> Journal:
    """Close an attempt whose last line is being written, which then ends as *noted* does."""
    begun, may_end = threading.Event(), threading.Event()

    def slow(*given: Any) -> None:
        begun.set()
        assert may_end.wait(20)
        noted(*given)

    journal = Journal(queue, Changes(), most_bytes=1000)
    await journal.open(claimed(queue))
    monkeypatch.setattr(queue, "note", slow)
    journal.hear(Event("log", "a", "STDOUT", "the last words", 1.0))
    journal.hear(Event("end", "a"))
    flushing = asyncio.create_task(journal.keep_flushing())
    await asyncio.to_thread(begun.wait, 20)
    closing = asyncio.create_task(journal.close("a"))
    await asyncio.sleep(0.05)
    may_end.set()
    await closing
    flushing.cancel()
    return journal


def messages(queue: RequestQueue) -> list[str]:
    return [line.message for _, line in queue.records.logs("a")]


def test_a_close_waits_for_lines_that_are_being_written(
    queue: RequestQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T33"""
    asyncio.run(closed_during_a_write(queue, monkeypatch, queue.note))
    assert messages(queue) == ["the last words"]


def test_lines_whose_write_fails_during_the_close_are_written_later(
    queue: RequestQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T33"""
    note = queue.note

    def failing(*_: Any) -> None:
        reason = "away"
        raise QueueUnavailableError(reason)

    async def story() -> None:
        journal = await closed_during_a_write(queue, monkeypatch, failing)
        assert messages(queue) == []
        monkeypatch.setattr(queue, "note", note)
        await journal.settle("a")

    asyncio.run(story())
    assert messages(queue) == ["the last words"]
