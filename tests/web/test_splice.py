"""Bodies of an object store go from its socket to the caller's, and through no memory of ours."""

import asyncio
import http.server
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.support.command import wait_until

from towpath.cdn.service import create_cdn
from towpath.net.listening import listening
from towpath.storage.file_store import FileStore
from towpath.storage.memory import MemoryObjects
from towpath.storage.remote import RemoteBlobs
from towpath.storage.staging import NewFile
from towpath.web import zero_copy
from towpath.web.serving import Listener, ServerGroup, run_loop

DATA = os.urandom(6 * 2**20 + 7)


class Origin(http.server.ThreadingHTTPServer):
    """What a store says by its signed URLs.

    Attributes:
        mood: how it says it.
        broken: how many readers left before the end.
    """

    mood = "right"
    broken = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """Count who left while we waited for their next request."""
        self.broken += 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/x?signed=1"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def do_GET(self) -> None:
        first, last = map(int, self.headers["range"].removeprefix("bytes=").split("-"))
        part = DATA[first : last + 1]
        self.send_response(206)
        self.send_header("content-length", str(len(part)))
        self.end_headers()
        try:
            self.say(part)
        except OSError:
            self.server.broken += 1
            self.close_connection = True

    def say(self, part: bytes) -> None:
        if self.server.mood == "cut":
            self.wfile.write(part[: len(part) // 2])
            self.close_connection = True
        elif self.server.mood == "reset":
            self.wfile.write(part[: len(part) // 2])
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif self.server.mood == "slow":
            for at in range(0, len(part), len(part) // 5):
                self.wfile.write(part[at : at + len(part) // 5])
                time.sleep(0.1)
        else:
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


class Elsewhere(MemoryObjects):
    """A store that says where its objects lie."""

    origin: Origin

    def sign(self, key: str, seconds: int) -> str:
        return self.origin.url


@dataclass
class Place:
    """A server whose files lie elsewhere, and where they lie."""

    url: str
    origin: Origin
    store: FileStore

    def saved(self, size: int) -> str:
        """Return the URL of a file that has the first *size* bytes."""
        record = self.store.save(NewFile(DATA[:size], "a.mp4", "video/mp4"))
        return f"{self.url}/files/{record.id}/a.mp4"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    objects = Elsewhere()
    folder = tmp_path_factory.mktemp("store")
    store = FileStore(RemoteBlobs(objects, MemoryObjects(), folder, reserve=0))
    with Origin() as origin, listening("127.0.0.1", 0) as sock, closing(store):
        objects.origin = origin
        group = ServerGroup([Listener(create_cdn(store, redirects=False), sock)])
        threads = [
            threading.Thread(target=origin.serve_forever),
            threading.Thread(target=lambda: run_loop(group.serve())),
        ]
        for thread in threads:
            thread.start()
        yield Place(f"http://127.0.0.1:{sock.getsockname()[1]}", origin, store)
        group.stop()
        origin.shutdown()
        for thread in threads:
            thread.join()


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    running.origin.mood, running.origin.broken = "right", 0
    yield running
    running.origin.mood = "right"
    assert httpx2.get(running.saved(10)).content == DATA[:10], "it goes on"


@pytest.fixture
def passages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many bytes went through pipes, one entry for each passage."""
    seen: list[int] = []
    run = zero_copy._Passage.run

    async def counted(self: zero_copy._Passage, source: zero_copy.Source) -> None:
        seen.append(source.left)
        await run(self, source)

    monkeypatch.setattr(zero_copy._Passage, "run", counted)
    return seen


@pytest.mark.parametrize("size", [1, 1000, 2**20, len(DATA)])
def test_a_file_comes_whole(place: Place, passages: list[int], size: int) -> None:
    answer = httpx2.get(place.saved(size))
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(size))
    assert answer.content == DATA[:size]
    assert len(passages) == 1
    assert max(0, size - 2048) <= passages[0] <= size, "only what came with its head was read"


@pytest.mark.parametrize("span", [(0, 0), (5, 5_000_000), (len(DATA) - 3, len(DATA) - 1)])
def test_a_part_comes_as_it_was_asked_for(place: Place, span: tuple[int, int]) -> None:
    first, last = span
    answer = httpx2.get(place.saved(len(DATA)), headers={"Range": f"bytes={first}-{last}"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.content == DATA[first : last + 1]


def test_several_parts_come_in_their_frame(place: Place, passages: list[int]) -> None:
    answer = httpx2.get(place.saved(len(DATA)), headers={"Range": "bytes=0-99999,200000-299999"})
    assert answer.status_code == 206
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    _, one, two, end = answer.content.split(b"--" + boundary)
    assert one.partition(b"\r\n\r\n")[2] == DATA[:100_000] + b"\r\n"
    assert two.partition(b"\r\n\r\n")[2] == DATA[200_000:300_000] + b"\r\n"
    assert end.strip() == b"--"
    assert len(passages) == 2


def test_one_connection_has_answers_in_their_order(place: Place) -> None:
    sizes = [3, 300_000, 1, 2_000_000]
    with httpx2.Client() as client:
        assert [client.get(place.saved(size)).content for size in sizes] == [
            DATA[:size] for size in sizes
        ]


def test_many_at_once_are_not_mixed_up(place: Place) -> None:
    sizes = [100_000 + 50_000 * number for number in range(24)]

    async def ask() -> list[bytes]:
        async with httpx2.AsyncClient(timeout=60) as client:
            answers = await asyncio.gather(*(client.get(place.saved(size)) for size in sizes))
            return [answer.content for answer in answers]

    assert [len(body) for body in asyncio.run(ask())] == sizes
    assert asyncio.run(ask()) == [DATA[:size] for size in sizes]


def test_a_slow_store_and_a_slow_reader_lose_nothing(place: Place) -> None:
    place.origin.mood = "slow"
    with httpx2.stream("GET", place.saved(len(DATA)), timeout=60) as answer:
        body = b""
        for piece in answer.iter_raw(1_000_000):
            body += piece
            time.sleep(0.05)
    assert body == DATA


@pytest.mark.parametrize("mood", ["cut", "reset"])
def test_a_store_that_breaks_off_breaks_the_answer_off(place: Place, mood: str) -> None:
    place.origin.mood = mood
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        httpx2.get(place.saved(len(DATA)), timeout=30)


def test_who_leaves_early_leaves_nothing_behind(place: Place) -> None:
    url = place.saved(len(DATA))
    assert httpx2.get(url).content == DATA
    before = len(list(Path("/proc/self/fd").iterdir()))
    host, port = place.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.sendall(
                f"GET {url.partition(host + ':' + port)[2]} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            )
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
    wait_until(lambda: place.origin.broken == 20)
    wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 2)
    assert all(pipe.held == 0 for pipe in zero_copy._pipes)
    assert httpx2.get(url).content == DATA
