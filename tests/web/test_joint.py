"""A head leaves with what follows it, and by itself when nothing follows at once."""

import asyncio
import http.client
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from towpath.testing import Server, serve
from towpath.web.joint import Joint

BODY_SIZES = [0, 1, 1000, 64 * 1024, 64 * 1024 + 1, 3_000_000]


class Written:
    """A transport that notes each write."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def story(tell: Callable[[Joint, Written], Awaitable[None] | None]) -> Written:
    async def told() -> Written:
        transport: Any = Written()
        done = tell(Joint(transport, asyncio.get_running_loop()), transport)
        if done is not None:
            await done
        return transport

    return asyncio.run(told())


def test_a_small_body_leaves_with_its_head() -> None:
    def tell(joint: Joint, _: Written) -> None:
        joint.hold(b"head ")
        joint.write(b"body")

    assert story(tell).pieces == [b"head body"]


def test_a_large_body_is_not_copied() -> None:
    body = bytes(64 * 1024 + 1)

    def tell(joint: Joint, _: Written) -> None:
        joint.hold(b"head ")
        joint.write(body)

    written = story(tell)
    assert written.pieces == [b"head ", body]
    assert written.pieces[1] is body


def test_a_head_waits_for_no_body() -> None:
    async def tell(joint: Joint, transport: Written) -> None:
        joint.is_holding = True
        joint.write(b"he")
        joint.write(b"ad")
        joint.is_holding = False
        assert transport.pieces == []
        await asyncio.sleep(0)
        assert transport.pieces == [b"head"]
        joint.write(b"body")

    assert story(tell).pieces == [b"head", b"body"]


def test_what_is_taken_is_somebody_elses_to_send() -> None:
    async def tell(joint: Joint, _: Written) -> None:
        joint.hold(b"head")
        assert joint.take() == b"head"
        await asyncio.sleep(0)

    assert story(tell).pieces == []


def test_a_head_leaves_before_the_connection_closes() -> None:
    async def tell(joint: Joint, transport: Written) -> None:
        joint.hold(b"head")
        joint.close()
        assert joint.is_closing()
        await asyncio.sleep(0)

    written = story(tell)
    assert (written.pieces, written.is_closed) == ([b"head"], True)


def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    async def tell(joint: Joint, transport: Written) -> None:
        joint.hold(b"head")
        transport.close()
        await asyncio.sleep(0)

    assert story(tell).pieces == []


# --- on a socket ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "sized.py"
    file.write_text(
        "import asyncio, towpath\n"
        "from starlette.responses import Response, StreamingResponse\n"
        "async def silent():\n"
        "    await asyncio.sleep(60)\n"
        "    yield b''\n"
        "class Sized(towpath.App):\n"
        "    @towpath.endpoint('/')\n"
        "    def run(self, size: int) -> Response:\n"
        "        return Response(bytes(size))\n"
        "    @towpath.endpoint('/silent')\n"
        "    async def silence(self) -> StreamingResponse:\n"
        "        return StreamingResponse(silent())\n"
    )
    with serve(str(file), store_reserve=0) as own:
        yield own


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=20)


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("size", BODY_SIZES)
def test_answers_of_every_size_are_whole_one_after_the_other(server: Server, size: int) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    with closing(connection):
        for _ in range(3):
            body = b'{"size": %d}' % size
            connection.request("POST", "/local/sized", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, bytes(size))


def test_requests_that_are_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    with connected(server) as caller:
        caller.sendall(b"".join(post("/local/sized", b'{"size": %d}' % n) for n in (1, 2, 3)))
        text = b""
        while text.count(b"HTTP/1.1 200") < 3 or not text.endswith(b"\r\n\r\n\0\0\0"):
            text += caller.recv(65536)
    assert [part.count(b"\0") for part in text.split(b"HTTP/1.1 200")[1:]] == [1, 2, 3]


def test_the_head_of_a_stream_that_says_nothing_arrives(server: Server) -> None:
    with connected(server) as caller:
        caller.sendall(post("/local/sized/silent", b"{}"))
        assert caller.recv(65536).startswith(b"HTTP/1.1 200")


def test_garbage_in_the_middle_of_an_answer_breaks_it_off(server: Server) -> None:
    """The sentence that says so would stand in the middle of the body."""
    with connected(server) as caller:
        caller.sendall(post("/local/sized/silent", b"{}"))
        text = caller.recv(65536)
        caller.sendall(b"\0\0\0 what is this\r\n\r\n")
        try:
            while more := caller.recv(65536):
                text += more
        except ConnectionResetError:
            pass
    assert text.count(b"HTTP/1.1") == 1
