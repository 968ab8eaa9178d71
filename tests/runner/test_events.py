import json
import os
import threading
import time
from collections.abc import Iterator

import pytest

from towpath.runner.events import OPERATOR, EventPipe


class Read:
    """The other end of the pipe. Theirs is given away: its thread may write to it for ever."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.pipe()

    def all(self) -> list[dict]:
        os.set_blocking(self.ours, False)
        text = b""
        try:
            while chunk := os.read(self.ours, 65536):
                text += chunk
        except BlockingIOError:
            pass
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def read() -> Iterator[Read]:
    pipe = Read()
    yield pipe
    os.close(pipe.ours)


def test_lines_and_ends_are_told(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=1000)
    pipe.log("a", "STDOUT", "hello")
    pipe.end("a")
    said = read.all()
    assert [(e["kind"], e["id"], e["level"], e["message"]) for e in said] == [
        ("log", "a", "STDOUT", "hello"),
        ("end", "a", "", ""),
    ]
    assert said[0]["at"] > 1_700_000_000


def test_a_log_has_a_length_and_says_where_it_ends(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=20)
    for number in range(100):
        pipe.log("a", "STDOUT", f"line {number}")
    pipe.log("b", "STDOUT", "another request")
    messages = [(e["id"], e["message"]) for e in read.all()]
    assert messages == [
        ("a", "line 0"),
        ("a", "line 1"),
        ("a", "more than 20 bytes: the rest of this log is dropped"),
        ("b", "another request"),
    ]


class Time:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(number: int, preview: str | None = None) -> dict:
    return {"done": number, "preview": preview}


def progress_in(read: Read) -> list[dict]:
    return [json.loads(e["message"]) for e in read.all() if e["kind"] == "progress"]


def test_progress_is_thinned_out_but_for_the_last(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=1000)
    for number in range(1000):
        pipe.progress("a", said(number))
    pipe.end("a")
    told = [each["done"] for each in progress_in(read)]
    assert told[0] == 0
    assert told[-1] == 999
    assert len(told) < 100


def test_trust_t49_every_preview_of_a_slow_one_arrives_and_stays(read: Read) -> None:
    """20 steps a second, a preview every 20th: each falls into an interval that is held back."""
    time = Time()
    pipe = EventPipe(read.theirs, most_bytes=1000, clock=time)
    for step in range(201):
        time.now = step * 0.05
        pipe.progress("a", said(step, f"p{step}" if step % 20 == 19 else None))
    pipe.end("a")
    told = progress_in(read)
    shown = [each["preview"] for each in told]
    assert list(dict.fromkeys(shown)) == [None, *(f"p{step}" for step in range(19, 200, 20))]
    assert shown[-1] == "p199"


def test_trust_t49_the_latest_of_an_interval_is_told_when_it_is_over(read: Read) -> None:
    """An endpoint that says nothing for a minute leaves its last word to be seen, not its first."""
    pipe = EventPipe(read.theirs, most_bytes=1000)
    for step in range(4):
        pipe.progress("a", said(step))
    deadline = time.monotonic() + 20
    told: list[dict] = []
    while (not told or told[-1]["done"] != 3) and time.monotonic() < deadline:
        told += progress_in(read)
        time.sleep(0.01)
    assert told[-1]["done"] == 3


def test_trust_t49_a_preview_is_its_requests_own(read: Read) -> None:
    time = Time()
    pipe = EventPipe(read.theirs, most_bytes=1000, clock=time)
    pipe.progress("a", said(1, "of a"))
    pipe.progress("b", said(1))
    pipe.end("a")
    pipe.progress("a", said(2))
    assert [each["preview"] for each in progress_in(read)] == ["of a", None, None]


def test_what_is_remembered_of_requests_that_never_end_is_bounded(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=1000)
    for number in range(10_100):
        pipe.log(str(number), "STDOUT", "x")
    assert len(pipe._known) == 10_000


def test_a_reader_who_does_not_read_stops_nobody(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=10**9)
    writer = threading.Thread(
        target=lambda: [pipe.log("a", "STDOUT", "x" * 1000) for _ in range(10_000)]
    )
    writer.start()
    writer.join(10)
    assert not writer.is_alive()
    assert len(pipe._pending) < 5 * 2**20


def test_nothing_is_remembered_of_a_request_whose_end_nobody_wants_to_hear_of(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=4)
    pipe.log("a", "STDOUT", "12345")
    pipe.forget("a")
    pipe.log("a", "STDOUT", "1")
    messages = [event["message"] for event in read.all()]
    assert messages == ["more than 4 bytes: the rest of this log is dropped", "1"]


def test_what_the_operator_is_told_has_no_end(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=1000)
    for _ in range(20):
        pipe.log(OPERATOR, "WARN", "x" * 100)
    assert len(read.all()) == 20


def test_a_flood_of_lines_drops_no_word_of_a_failure(read: Read) -> None:
    """trust T41"""
    pipe = EventPipe(read.theirs, most_bytes=2**30)
    for _ in range(40):
        pipe.log("noisy", "STDOUT", "x" * 2**17)  # 5 MiB: more than waits
    pipe.failed("a", '{"status": 500, "body": {}}')
    pipe.end("a")
    kinds = list[str]()
    text = b""
    end = time.monotonic() + 20
    while "end" not in kinds and time.monotonic() < end:
        text += os.read(read.ours, 2**20)
        kinds = [json.loads(line)["kind"] for line in text.splitlines() if line.endswith(b"}")]
    assert kinds[-2:] == ["failed", "end"]
