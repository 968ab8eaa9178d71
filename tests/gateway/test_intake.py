"""A request on its way into the queue: what is kept of it has an owner."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.types import Message

from towpath.clock import system_clock
from towpath.errors import QueueFullError
from towpath.gateway.bodies import Bodies
from towpath.gateway.intake import Intake
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest
from towpath.queue.store import RequestQueue

LARGE = 300_000


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[RequestQueue]:
    opened = open_queue(f"sqlite:///{tmp_path}/queue.db", system_clock, max_length=1, reserve=0)
    yield opened
    opened.close()


async def body() -> Message:
    return {"type": "http.request", "body": bytes(LARGE), "more_body": False}


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "queue.bodies").iterdir())


def test_a_request_whose_caller_leaves_at_the_last_moment_has_its_body(
    queue: RequestQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T9: the row is written all the same, and its caller may ask with the same key."""
    has_begun, may_write = threading.Event(), threading.Event()
    submit: Callable[[NewRequest], object] = queue.submit

    def slowly(new: NewRequest) -> object:
        has_begun.set()
        may_write.wait(10)
        return submit(new)

    monkeypatch.setattr(queue, "submit", slowly)

    async def story() -> None:
        intake = Intake(queue, Bodies(tmp_path / "bodies", 0))
        task = asyncio.ensure_future(intake.submit(NewRequest("a", "local/a"), body, LARGE))
        while not has_begun.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        may_write.set()

    asyncio.run(story())
    until = time.monotonic() + 10
    while not queue.waiting() and time.monotonic() < until:
        time.sleep(0.01)
    assert queue.waiting() == {"local/a": 1}
    assert files(tmp_path) == ["a.body"]


def test_a_request_that_is_refused_leaves_no_file(queue: RequestQueue, tmp_path: Path) -> None:
    queue.submit(NewRequest("first", "local/a"))
    intake = Intake(queue, Bodies(tmp_path / "bodies", 0))
    with pytest.raises(QueueFullError):
        asyncio.run(intake.submit(NewRequest("a", "local/a"), body, LARGE))
    assert files(tmp_path) == []
