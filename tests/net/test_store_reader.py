"""Reading from an object store that answers oddly: one error, before or in the middle."""

import asyncio
import http.server
import threading
from collections.abc import Iterator

import pytest

from towpath.errors import ObjectNotFoundError, StoreUnusableError
from towpath.net import store_reader
from towpath.net.store_reader import StoreReader

DATA = bytes(range(256)) * 4096


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        first, last = map(int, self.headers["range"].removeprefix("bytes=").split("-"))
        part = DATA[first : last + 1]
        kind = self.path.split("?")[0].strip("/")
        status = {"missing": 404, "whole": 200, "error": 500, "moved": 302}.get(kind, 206)
        self.send_response(status)
        if kind == "moved":
            self.send_header("location", "/right")
        body = DATA if kind == "whole" else part
        self.send_header("content-length", str(len(body) + (kind == "short")))
        self.end_headers()
        if kind == "silent":
            self.wfile.write(body[:10])
            self.wfile.flush()
            threading.Event().wait(2)
            self.close_connection = True
            return
        self.wfile.write(body[: len(body) // 2] if kind == "cut" else body)
        self.close_connection = kind in {"short", "cut"}

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["sockets", "aiohttp"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read in both ways: by sockets, and as over TLS."""
    if request.param == "aiohttp":
        monkeypatch.setattr(store_reader, "_PLAIN", "never:")
    return str(request.param)


async def read(url: str, start: int, stop: int) -> bytes:
    reader = StoreReader()
    try:
        body = await reader.open(url, start, stop)
        try:
            return b"".join([piece async for piece in body.pieces()])
        finally:
            body.close()
    finally:
        await reader.close()


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 1000), (0, len(DATA)), (1, len(DATA))])
def test_a_part_is_exactly_that(url: str, start: int, stop: int) -> None:
    assert asyncio.run(read(f"{url}/right?X-Sig=a%2Fb", start, stop)) == DATA[start:stop]


def test_the_whole_may_be_a_200(url: str) -> None:
    assert asyncio.run(read(f"{url}/whole", 0, len(DATA))) == DATA


@pytest.mark.parametrize("kind", ["error", "moved", "short", "cut", "silent"])
def test_an_odd_answer_is_one_error(url: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_reader, "_SILENT_SECONDS", 0.5)
    with pytest.raises(StoreUnusableError):
        asyncio.run(read(f"{url}/{kind}", 0, len(DATA)))


def test_the_whole_instead_of_a_part_is_refused(url: str) -> None:
    with pytest.raises(StoreUnusableError, match="status 200"):
        asyncio.run(read(f"{url}/whole", 5, 10))


def test_what_is_missing_is_not_found(url: str) -> None:
    with pytest.raises(ObjectNotFoundError):
        asyncio.run(read(f"{url}/missing", 0, 5))


def test_nobody_there_is_unusable() -> None:
    with pytest.raises(StoreUnusableError, match="Conn"):
        asyncio.run(read("http://127.0.0.1:9/x", 0, 5))


def test_it_is_opened_again_after_it_was_closed(url: str) -> None:
    async def twice() -> None:
        reader = StoreReader()
        for _ in range(2):
            body = await reader.open(f"{url}/right", 0, 5)
            assert b"".join([piece async for piece in body.pieces()]) == DATA[:5]
            body.close()
            await reader.close()
        await reader.close()

    asyncio.run(twice())
