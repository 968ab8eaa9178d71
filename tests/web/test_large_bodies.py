"""Bodies of every size, in pieces of every size: what plain uvicorn receives, we receive."""

import asyncio
import hashlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from time import sleep
from typing import Any

import pytest
import uvicorn

from towpath.web.large_bodies import LARGE_PIECE
from towpath.web.serving import Listener, ServerGroup, run_loop

SIZES = [0, 1, LARGE_PIECE - 1, LARGE_PIECE, 65_536, 300_000, 3_000_000]
Serve = Callable[[Any, socket.socket, threading.Event], Any]


async def digests(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length and the digest of the body; read none of it at /unread."""
    if scope["type"] != "http":
        return
    found, size, more = hashlib.sha256(), 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        found.update(message["body"])
        more = message["more_body"]
    told = f"{scope['method']} {size} {found.hexdigest()}\n".encode()
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


def ours(sock: socket.socket, stop: asyncio.Event) -> Any:
    group = ServerGroup([Listener(digests, sock)], grace=1)

    async def serve() -> None:
        serving = asyncio.ensure_future(group.serve())
        await stop.wait()
        group.stop(at_once=True)
        await serving

    return serve()


def uvicorns(sock: socket.socket, stop: asyncio.Event) -> Any:
    config = uvicorn.Config(digests, http="httptools", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign]

    async def serve() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[sock]))
        await stop.wait()
        server.should_exit = server.force_exit = True
        await serving

    return serve()


def served(make: Callable[[socket.socket, asyncio.Event], Any]) -> Iterator[int]:
    """Serve in a thread; yield the port."""
    sock = socket.create_server(("127.0.0.1", 0))
    known: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    begun = threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        known.append((asyncio.get_running_loop(), stop))
        begun.set()
        await make(sock, stop)

    thread = threading.Thread(target=lambda: run_loop(run()))
    thread.start()
    begun.wait()
    yield sock.getsockname()[1]
    loop, stop = known[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    assert not thread.is_alive()
    sock.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    yield from served(ours)


@pytest.fixture(scope="module")
def judge() -> Iterator[int]:
    yield from served(uvicorns)


def said(port: int, pieces: list[bytes]) -> list[bytes]:
    """Send pieces over one connection; return what is answered until it closes, or is silent."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reading: list[bytes] = []

        def read() -> None:
            with suppress(OSError):
                while chunk := sock.recv(65536):
                    reading.append(chunk)

        thread = threading.Thread(target=read)
        thread.start()
        with suppress(OSError):
            for piece in pieces:
                sock.sendall(piece)
        thread.join(1)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        thread.join()
    lines = b"".join(reading).splitlines()
    return [line for line in lines if line.startswith((b"HTTP/", b"POST ", b"GET "))]


def said_slowly(port: int, pieces: list[bytes], count: int) -> list[bytes]:
    """Send pieces so that each comes by itself; return what *count* answers say."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
            sleep(0.02)
        answer = b""
        while answer.count(b"POST ") < count or not answer.endswith(b"\n"):
            chunk = sock.recv(65536)
            assert chunk, "the connection closes"
            answer += chunk
    return [line for line in answer.splitlines() if line.startswith((b"HTTP/", b"POST "))]


def request(body: bytes, *more: str, path: str = "/") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*head, "\r\n"]).encode() + body


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    text = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + text


def cut(data: bytes, seed: int) -> list[bytes]:
    """Return *data* in pieces of sizes that are drawn."""
    chance, pieces, at = random.Random(seed), [], 0
    while at < len(data):
        size = chance.choice([1, 100, LARGE_PIECE, 65_536, 250_000, 10**7])
        pieces.append(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("seed", range(6))
def test_one_request_after_the_other_is_received_as_by_uvicorn(
    port: int, judge: int, seed: int
) -> None:
    chance = random.Random(seed)
    requests = [request(chance.randbytes(size)) for size in chance.sample(SIZES, len(SIZES))]
    requests.insert(chance.randrange(len(SIZES)), chunked(chance.randbytes(400_000), 150_000))
    requests.insert(chance.randrange(len(SIZES)), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    requests.append(request(b"the last", "Connection: close"))
    pieces = cut(b"".join(requests), seed)
    answers = said(port, pieces)
    assert len(answers) == 2 * len(requests)
    assert answers == said(judge, pieces)


SLOW = [
    [60_000, 10_000, 30_000],
    [60_000, *[4_000] * 10],
    [60_000, 1, 20_000, 1, 19_998],
    [20_000, 100, 79_899, 1],
]


@pytest.mark.parametrize("sizes", SLOW, ids=str)
def test_small_pieces_behind_a_large_one_are_counted(
    port: int, judge: int, sizes: list[int]
) -> None:
    """A body that is uploaded slowly has pieces of every size; the next request is behind it."""
    body = random.Random(2).randbytes(sum(sizes))
    whole = request(body)
    pieces, at = [whole[: -len(body)]], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    assert said_slowly(port, pieces, 1) == said_slowly(judge, pieces, 1)
    pieces[-1] += request(b"the next")
    assert said_slowly(port, pieces, 2) == said_slowly(judge, pieces, 2)


BODY = random.Random(1).randbytes(600_000)
ODD = {
    "a body that is cut off": [request(BODY)[:-1]],
    "a second request in the last piece": [request(BODY) + request(b"x")],
    "a request behind one that closes": [request(BODY, "Connection: close"), request(b"x")],
    "an old version": [request(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), request(b"x")],
    "a body that nobody reads": [request(BODY, path="/unread"), request(b"x")],
    "two lengths": [request(BODY, "Content-Length: 5")],
    "a length and chunks": [request(BODY, "Transfer-Encoding: chunked")],
}


@pytest.mark.parametrize("pieces", ODD.values(), ids=ODD.keys())
def test_what_is_odd_is_taken_as_by_uvicorn(port: int, judge: int, pieces: list[bytes]) -> None:
    for each in (pieces, [part for piece in pieces for part in cut(piece, 3)]):
        assert said(port, each) == said(judge, each)


@pytest.mark.parametrize("garbage", [b"\0\0 garbage\r\n\r\n", BODY])
def test_garbage_behind_a_large_body_is_no_request(port: int, judge: int, garbage: bytes) -> None:
    for at in (port, judge):
        assert said(at, [request(BODY) + garbage])[-1] == b"HTTP/1.1 400 Bad Request"


def test_pieces_of_a_large_body_are_not_copied() -> None:
    """The argument of the room, tested: what is received is the object that came."""
    from towpath.web import large_bodies

    taken: list[bytes] = []

    class Taking(large_bodies.LargeBodies):
        _left = 10**6

        def __init__(self) -> None:
            """Need no server."""

        def _take(self, body: bytes) -> None:
            taken.append(body)

    piece = bytes(100_000)
    Taking().data_received(piece)
    assert taken[0] is piece
