"""Half requests, floods and slow bodies against the real server."""

import asyncio
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from textwrap import dedent

import httpx2
import pytest

from towpath.errors import BodyTimeoutError
from towpath.storage.staging import NewFile
from towpath.testing import Server, serve
from towpath.web import receiving, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "echo.py"
    file.write_text(
        dedent("""
        import hashlib
        import time
        import towpath
        from fastapi import Request
        class Echo(towpath.App):
            @towpath.endpoint("/slow")
            def slow(self, seconds: float) -> str:
                time.sleep(seconds)
                return "done"
            @towpath.endpoint("/names")
            async def names(self, request: Request) -> list[str]:
                return sorted(request.headers)
            @towpath.endpoint("/digest")
            def digest(self, text: str) -> str:
                return hashlib.sha256(text.encode()).hexdigest()
            @towpath.endpoint("/")
            def run(self, text: str = "") -> int:
                return len(text)
            @towpath.endpoint("/large")
            def large(self) -> towpath.File:
                return towpath.File.from_bytes(bytes(50_000_000), "application/x-thing")
        """)
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(serving, "_HEADER_SECONDS", 1.0)
    patch.setattr(serving, "_READ_SECONDS", 1.0)
    with serve(str(file), store_reserve=0) as own:
        yield own
    patch.undo()


def talk(server: Server, data: bytes, seconds: float = 5) -> bytes:
    """Send *data*; return all that comes until the server hangs up or is silent."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as sock:
        sock.sendall(data)
        answer = b""
        try:
            while chunk := sock.recv(65536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


def path_of_a_large_file(server: Server) -> str:
    url = httpx2.post(f"{server.url}/local/echo/large", json={}).json()["url"]
    return url.removeprefix(server.url)


def connected(server: Server, path: str) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), timeout=20)
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return sock


def test_a_client_that_reads_byte_by_byte_is_cut_off(server: Server) -> None:
    with connected(server, path_of_a_large_file(server)) as sock:
        assert sock.recv(1)
        time.sleep(4)  # several looks
        read = 1
        with suppress(ConnectionResetError):
            while data := sock.recv(1_000_000):
                read += len(data)
        assert read < 40_000_000, "what the kernel had taken, and no more"


def test_a_slow_client_that_reads_on_gets_it_all(server: Server) -> None:
    with connected(server, path_of_a_large_file(server)) as sock:
        read = 0
        for _ in range(8):  # far slower than the server, for longer than it would wait
            read += len(sock.recv(200_000))
            time.sleep(0.4)
        while read < 50_000_000 and (data := sock.recv(1_000_000)):
            read += len(data)
        assert read >= 50_000_000


def test_a_hundred_idle_connections_and_slow_clients_keep_nobody_waiting(server: Server) -> None:
    path = path_of_a_large_file(server)
    with ExitStack() as open_ones:
        for number in range(100):
            open_ones.enter_context(connected(server, path if number % 2 else "/health"))
        assert is_served(server)
        answer = httpx2.get(f"{server.url}{path}", headers={"Range": "bytes=7-9"})
        assert answer.content == bytes(3)


def test_requests_sent_ahead_are_answered_in_order(server: Server) -> None:
    path = path_of_a_large_file(server)
    one = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes={{}}\r\n{{}}\r\n"
    ahead = [
        one.format("0-999999", ""),
        one.format("5-6", ""),
        "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ]
    last = one.format("7-9", "Connection: close\r\n")
    answer = talk(server, "".join([*ahead, last]).encode(), seconds=10)
    sizes = [int(size) for size in re.findall(rb"content-length: (\d+)", answer)]
    assert (sizes[0], sizes[1], sizes[3]) == (1_000_000, 2, 3)
    assert answer.count(b"HTTP/1.1 ") == 4
    assert answer.endswith(b"\r\n\r\n\0\0\0")


def test_a_client_that_asks_ahead_and_reads_nothing_is_cut_off(server: Server) -> None:
    path = path_of_a_large_file(server)
    one = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=0-2999999\r\n\r\n".encode()
    with connected(server, path) as sock:
        sock.sendall(one * 20)
        time.sleep(4)
        read = 0
        with suppress(ConnectionResetError):
            while data := sock.recv(1_000_000):
                read += len(data)
        assert read < 40_000_000
    assert is_served(server)


def test_clients_that_hang_up_leave_nothing_open(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    path = path_of_a_large_file(server)
    before = open_files()
    for number in range(60):
        with connected(server, path) as sock:
            sock.recv(1 + number * 1000)
    for _ in range(100):
        if open_files() <= before + 10:
            break
        time.sleep(0.1)
    assert open_files() <= before + 10, "the sweeper may have opened its own meanwhile"
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert is_served(server)


def open_files() -> int:
    """Return how many descriptors this process has: the server is in it."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_what_is_not_in_memory_is_sent_as_well(server: Server) -> None:
    store = server.running.store
    data = os.urandom(9_000_000)
    record = store.save(NewFile(data, "cold.bin", "application/x-thing"))
    with store.open(record) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert httpx2.get(f"{server.url}/files/{record.id}/cold.bin").content == data


def test_a_file_that_became_shorter_is_cut_off_and_not_filled_up(server: Server) -> None:
    store = server.running.store
    record = store.save(NewFile(bytes(5_000_000), "a.bin", "application/x-thing"))
    os.truncate(store.blobs.blob(record.id), 2_000_000)
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{server.url}/files/{record.id}/a.bin")
    assert is_served(server)


def is_served(server: Server) -> bool:
    return httpx2.post(f"{server.url}/local/echo", json={"text": "abc"}).json() == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"POST /local/echo HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea",
    ],
)
def test_headers_that_do_not_come_end_the_connection(server: Server, data: bytes) -> None:
    began = time.monotonic()
    answer = talk(server, data, seconds=10)
    assert time.monotonic() - began < 8
    assert b"408" in answer
    assert is_served(server)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /local/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /local/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /local/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_proper_http_is_refused_and_others_are_served(server, data: bytes) -> None:
    answer = talk(server, data)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or answer == b""
    assert b"200 OK" not in answer
    assert is_served(server)


def test_slow_clients_do_not_keep_others_waiting(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(200)]
    for sock in slow:
        sock.sendall(
            b"POST /local/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        )
    began = time.monotonic()
    assert is_served(server)
    assert time.monotonic() - began < 2
    for sock in slow:
        sock.close()


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def exchange(app, receive, **headers: bytes) -> list[dict]:
    """Run *app* behind a guard; return what it sent."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def run() -> None:
        guard = receiving.RequestGuard(app, limit=10**6, clock=clock)
        pairs = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
        await guard(
            {"type": "http", "headers": pairs, "method": "POST", "path": "/"}, receive, send
        )

    clock = Clock()
    receive.clock = app.clock = clock
    asyncio.run(run())
    return sent


def test_a_body_that_comes_too_slowly_is_408() -> None:
    async def app(scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass

    async def receive() -> dict:
        if receive.clock.now > 100:
            await asyncio.Event().wait()
        receive.clock.now += 60
        return {"type": "http.request", "body": b"x", "more_body": True}

    start = exchange(app, receive, transfer_encoding=b"chunked")[0]
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert "1 bytes" in str(BodyTimeoutError(1))


def test_an_app_that_takes_its_time_makes_no_body_slow() -> None:
    async def app(scope, receive, send) -> None:
        app.clock.now += 1000
        while (await receive()).get("more_body"):
            app.clock.now += 1000
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    parts = iter([True, True, False])

    async def receive() -> dict:
        more = next(parts, None)
        if more is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"x", "more_body": more}

    assert exchange(app, receive, content_length=b"3")[0]["status"] == 200


def test_a_caller_who_leaves_ends_the_work_also_without_a_body() -> None:
    ended = []

    async def app(scope, receive, send) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict:
        return next(messages, {"type": "http.disconnect"})

    assert exchange(app, receive) == []
    assert ended == [True]


def test_a_long_request_that_was_sent_ahead_is_answered_whole(server: Server) -> None:
    """trust T17: the time for the next head begins when no request is at work."""
    ahead = b"GET /health HTTP/1.1\r\nHost: a.localhost\r\n\r\n"
    slow = b"POST /local/echo/slow?seconds=2.5 HTTP/1.1\r\nHost: a.localhost\r\n\r\n"
    answer = talk(server, ahead + slow)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.partition(b'"done"')[0].count(b"HTTP/1.1 ") == 2
    assert b'"done"' in answer


def test_a_trailer_is_no_header(server: Server) -> None:
    """trust T17: what comes after the body was not there when the head was judged."""
    head = (
        b"POST /local/echo/names HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    trailers = b"2\r\n{}\r\n0\r\nHost: evil.test\r\nX-Mine: a\r\n\r\n"
    answer = talk(server, head + trailers)
    assert answer.startswith(b"HTTP/1.1 200 OK"), answer
    assert b"x-mine" not in answer


def test_a_connection_is_closed_after_an_upgrade_that_is_ignored(server: Server) -> None:
    """trust T17: nothing that follows on it could be read."""
    upgrade = (
        b"GET /health HTTP/1.1\r\nHost: a.localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    )
    answer = talk(server, upgrade)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    "sizes",
    [
        [40_000],
        [40_000, 1, 40_000, 1],
        [1, 40_000, 1],
        [16_384, 16_383, 1] * 20,
        [3] * 2000,
        [200_000, 7, 300_000, 7, 7],
    ],
)
def test_a_body_in_pieces_of_every_size_is_whole(server: Server, sizes: list[int]) -> None:
    """Large pieces are taken without a copy, small ones are added to what is there."""
    pieces = [bytes([97 + number % 26]) * size for number, size in enumerate(sizes)]
    content = iter([b'{"text": "', *pieces, b'"}'])
    kind = {"content-type": "application/json"}
    answer = httpx2.post(f"{server.url}/local/echo/digest", content=content, headers=kind)
    assert answer.json() == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_large_piece_before_many_small_ones_is_copied_once(server: Server) -> None:
    """Adding each to bytes that cannot grow in place would copy all of them each time."""
    size, large = 1_000_000, b'{"text": "' + b"y" * 40_000
    chunks = [b"%x\r\n%b\r\n" % (len(large), large), b"1\r\nx\r\n" * size, b'2\r\n"}\r\n']
    head = b"POST /local/echo/digest HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = talk(server, head + b"".join(chunks) + b"0\r\n\r\n", seconds=30)
    expected = hashlib.sha256(b"y" * 40_000 + b"x" * size).hexdigest()
    assert expected.encode() in answer
