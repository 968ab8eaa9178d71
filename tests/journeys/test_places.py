"""A runner's place belongs to who has done his part: sent his body, said something, read on."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from textwrap import dedent

import httpx2
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from towpath.storage.room import Room
from towpath.testing import Server, serve

CODE = """
import asyncio
from fastapi import Request, WebSocket
import towpath

class One(towpath.App, max_websockets=2, websocket_idle_timeout=2, stall_timeout=1):
    @towpath.endpoint("/")
    def run(self, text: str = "") -> int:
        return len(text)

    @towpath.endpoint("/raw")
    async def raw(self, request: Request) -> int:
        return len(await request.body())

    @towpath.endpoint("/task/health")
    def work_health(self, text: str = "") -> int:
        return len(text)

    @towpath.endpoint("/stream")
    async def stream(self) -> None:
        while True:
            yield "x" * 10_000
            await asyncio.sleep(0)

    @towpath.endpoint("/large")
    def large(self) -> dict[str, str]:
        return {"text": "x" * 30_000_000}

    @towpath.endpoint("/small")
    def small(self) -> str:
        return "x" * 200_000

    @towpath.endpoint("/echo", is_websocket=True)
    async def echo(self, caller: WebSocket) -> None:
        await caller.accept()
        async for text in caller.iter_text():
            await caller.send_text(text)

class Plain(towpath.App):
    @towpath.endpoint("/work")
    async def work(self) -> None:
        await asyncio.sleep(4)

    @towpath.endpoint("/")
    def run(self, text: str = "") -> int:
        return len(text)

    @towpath.endpoint("/echo", is_websocket=True)
    async def echo(self, caller: WebSocket) -> None:
        await caller.accept()
        async for text in caller.iter_text():
            await caller.send_text(text)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(dedent(CODE))
    with serve(str(folder / "app.py"), data_dir=folder / "data", store_reserve=0) as own:
        yield own


@contextmanager
def sending(server: Server, text: bytes) -> Iterator[socket.socket]:
    """Connect, send *text* and no more."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(text)
        yield sock


def head(path: str, **headers: object) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode()


def is_served_soon(server: Server, path: str = "/local/one") -> bool:
    """Return whether others are answered; a place that is held would make them wait 30 s."""
    answer = httpx2.post(f"{server.url}{path}", json={"text": "abc"}, timeout=10)
    return answer.json() == 3


JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize("declared", ["length", "large", "chunked"])
@pytest.mark.parametrize(
    "path",
    [
        "/local/one",
        "/local/one/health",
        "/local/one/task/health",
        "/local/one/no/such",
        "/local/one/raw",
    ],
)
def test_a_body_that_does_not_come_takes_no_place(server, path: str, declared: str) -> None:
    """trust T3: on every endpoint, also one that is named as the runner's own health."""
    how = {"length": {"Content_Length": 1000}, "large": {"Content_Length": 10_000_000}}
    given = how.get(declared, {"Transfer_Encoding": "chunked"})
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(sending(server, head(path, **JSON, **given) + b"1\r\n"))
        assert is_served_soon(server)


def test_a_health_question_with_half_a_body_takes_no_place(server: Server) -> None:
    """trust T3: the runner's own health is a GET; what comes with it waits for itself."""
    text = head("/local/one/health", Content_Length=1000).replace(b"POST", b"GET") + b"x"
    with sending(server, text), sending(server, text):
        assert is_served_soon(server)


def test_half_a_websocket_request_takes_no_place(server: Server) -> None:
    text = (
        b"GET /local/one/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    with sending(server, text), sending(server, text + b"Content-Length: 9\r\n\r\nx"):
        assert is_served_soon(server)


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 + 1, 256 * 1024, 5_000_000, 20_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_of_every_size_arrive_whole(server, size: int, is_chunked: bool) -> None:
    data = json.dumps({"text": "x" * size}).encode()

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    content, kind = pieces() if is_chunked else data, {"content-type": "application/json"}
    answer = httpx2.post(f"{server.url}/local/one", content=content, headers=kind, timeout=20)
    assert answer.json() == size
    left = server.running.settings.state / "bodies"
    assert list(left.iterdir()) == []


def test_a_body_that_would_use_up_the_reserve_is_507_and_smaller_ones_go_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trust T9, T10: the reserve is asked before a byte is written."""

    def check(room: Room, size: int) -> None:
        if size > 100_000:
            monkeypatch.undo()
            monkeypatch.setattr(Room, "reserve", lambda *_: 2**60)
            Room.check(room, size)

    monkeypatch.setattr(Room, "check", check)
    answer = httpx2.post(f"{server.url}/local/one/raw", content=bytes(20_000_000), timeout=20)
    assert answer.status_code == 507
    assert "the server's disk is full" in answer.json()["detail"]
    monkeypatch.undo()
    assert is_served_soon(server)


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/local/one/stream", "/local/one/large"])
def test_who_takes_nothing_of_his_answer_loses_his_place(
    server: Server, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """trust T4: a stream, or a large answer, whose reader stalls."""
    with sending(server, head(path, **JSON, Content_Length=2) + b"{}") as sock:
        sock.recv(10)
        assert is_served_soon(server)
    told = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert told == ["a caller took too little of its answer; the call is ended"], "no traceback"


def test_answers_that_nobody_reads_hold_no_place(server: Server) -> None:
    """trust T3: small ones, asked for ahead."""
    one = head("/local/one/small", **JSON, Content_Length=2) + b"{}"
    with sending(server, one * 90):
        time.sleep(1)
        assert is_served_soon(server)


# --- websockets ----------------------------------------------------------------------------------


def socket_url(server: Server, app: str = "one") -> str:
    return f"{server.url.replace('http', 'ws')}/local/{app}/echo"


def test_an_idle_websocket_keeps_nobody_waiting(server: Server) -> None:
    """trust T4: by the defaults, on an app with one place."""
    with connect(socket_url(server, "plain")) as caller:
        caller.send("a")
        assert caller.recv(10) == "a"
        assert is_served_soon(server, "/local/plain")
        caller.send("b")
        assert caller.recv(10) == "b"


def test_a_websocket_that_says_nothing_is_closed(server: Server) -> None:
    """trust T4: each message either way begins its time anew."""
    with connect(socket_url(server)) as caller:
        for _ in range(3):
            time.sleep(0.9)
            caller.send("a")
            assert caller.recv(10) == "a"
        with pytest.raises(ConnectionClosed) as closed:
            caller.recv(20)
    assert closed.value.rcvd.code == 1000
    assert closed.value.rcvd.reason == "no message for 2 s"
    assert is_served_soon(server)


def test_a_websocket_more_than_there_may_be_is_refused(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            caller = stack.enter_context(connect(socket_url(server)))
            caller.send("a")
            assert caller.recv(10) == "a"
        with connect(socket_url(server)) as third, pytest.raises(ConnectionClosed) as closed:
            third.recv(10)
        assert closed.value.rcvd.code == 1013
        assert "2 websockets open, its limit" in closed.value.rcvd.reason
        assert is_served_soon(server)
    ended = threading.Event()
    for _ in range(100):  # their places come back
        try:
            with connect(socket_url(server)) as caller:
                caller.send(json.dumps("b"))
                caller.recv(10)
                ended.set()
                break
        except (InvalidStatus, ConnectionClosed):
            time.sleep(0.1)
    assert ended.is_set()


WORK = head("/local/plain/work", Content_Length=0)


def handshake(path: str, *lines: str) -> bytes:
    """Return the request for a websocket."""
    head = [f"GET {path} HTTP/1.1", "Host: a.localhost", "Connection: Upgrade"]
    head += ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    head += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *lines]
    return "\r\n".join([*head, "", ""]).encode()


def begun(server: Server, path: str, *lines: str) -> socket.socket:
    """Ask for a websocket, and wait for nothing."""
    host, port = server.url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), timeout=20)
    sock.sendall(handshake(path, *lines))
    return sock


def test_callers_who_leave_before_their_websocket_is_open_leave_the_line(server: Server) -> None:
    """trust T4: a hundred of them would have a hundred turns otherwise."""
    with ExitStack() as stack:
        at_work = stack.enter_context(sending(server, WORK))  # has the only place
        for _ in range(100):
            begun(server, "/local/plain/echo").close()
        last = stack.enter_context(begun(server, "/local/plain/echo"))
        line = server.running.engine._pools["plain"]._places.waiting
        until = time.monotonic() + 20
        while len(line) != 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(line) == 1
        assert at_work.recv(1000).startswith(b"HTTP/1.1 200")
        assert last.recv(1000).startswith(b"HTTP/1.1 101")


def test_a_websocket_waits_no_longer_than_its_caller_would(server: Server) -> None:
    """trust T4: a call and a websocket wait in the same line, by the same rules."""
    with (
        sending(server, WORK) as at_work,
        begun(server, "/local/plain/echo", "X-Fal-Request-Start-Timeout: 1") as caller,
    ):
        assert caller.recv(1000).startswith(b"HTTP/1.1 504")
        assert at_work.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_websocket_of_an_app_that_is_not_served_is_refused_with_a_sentence(
    server: Server,
) -> None:
    with pytest.raises(InvalidStatus, match="404") as refused:
        connect(socket_url(server, "nobody"))
    assert "Apps served here" in refused.value.response.body.decode()
    assert refused.value.response.headers["x-fal-request-id"]


def test_a_caller_who_pings_and_does_not_read_takes_no_memory(server: Server) -> None:
    """trust T4: what waits for him has a limit."""
    process = psutil.Process()
    pings = (b"\x89\xfd" + bytes(4 + 125)) * 1000
    with begun(server, "/local/plain/echo") as caller:
        assert caller.recv(1000).startswith(b"HTTP/1.1 101")
        before = process.memory_info().rss
        caller.settimeout(2)
        with suppress(OSError):
            for _ in range(500):  # 64 MB
                caller.sendall(pings)
        assert process.memory_info().rss - before < 32 * 2**20
