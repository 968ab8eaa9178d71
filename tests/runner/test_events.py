import json
import os
import threading
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


def test_progress_is_thinned_out_but_for_the_last(read: Read) -> None:
    pipe = EventPipe(read.theirs, most_bytes=1000)
    for number in range(1000):
        pipe.progress("a", str(number))
    pipe.end("a")
    said = [e["message"] for e in read.all() if e["kind"] == "progress"]
    assert said[0] == "0"
    assert said[-1] == "999"
    assert len(said) < 100


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
