"""Sockets to a store that speaks plain HTTP: kept, judged, waited for."""

import asyncio
import socket

import pytest

from towpath.errors import StoreUnusableError
from towpath.net import store_reader, store_socket
from towpath.net.store_reader import StoreReader


class Scripted:
    """A store that says what it is told to, over one connection after the other.

    Args:
        turns: what each connection says to each request; it is closed after the last.
    """

    def __init__(self, *turns: list[list[bytes]]) -> None:
        self.turns = list(turns)
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for pieces in self.turns.pop(0):
                await reader.readuntil(b"\r\n\r\n")
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def read(self, *spans: tuple[int, int]) -> list[bytes]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        store = StoreReader()
        found = []
        try:
            for start, stop in spans:
                url = "http://{}:{}/x".format(*server.sockets[0].getsockname())
                body = await store.open(url, start, stop)
                try:
                    found.append(b"".join([piece async for piece in body.pieces()]))
                finally:
                    body.close()
                await asyncio.sleep(0.1)
        finally:
            await store.close()
            server.close()
        return found


def part(body: bytes, *more: bytes) -> bytes:
    lines = (b"HTTP/1.1 206 Partial Content", b"content-length: %d" % len(body), *more, b"", body)
    return b"\r\n".join(lines)


def test_a_connection_is_used_again() -> None:
    store = Scripted([[part(b"abc")], [part(b"de")]])
    assert asyncio.run(store.read((0, 3), (3, 5))) == [b"abc", b"de"]
    assert store.connections == 1


@pytest.mark.parametrize("more", [b"connection: close", b"x: y"])
def test_one_that_was_closed_is_not(more: bytes) -> None:
    store = Scripted([[part(b"abc", more)]], [[part(b"de")]])
    assert asyncio.run(store.read((0, 3), (3, 5))) == [b"abc", b"de"]
    assert store.connections == 2


def test_a_head_and_a_body_may_come_in_pieces() -> None:
    whole = part(b"x" * 5000)
    pieces = [whole[:10], whole[10:60], whole[60:3000], whole[3000:]]
    store = Scripted([pieces])
    assert asyncio.run(store.read((0, 5000))) == [b"x" * 5000]


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"HTTP/1.1 206 Partial Content\r\n\r\nabc",
        b"HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\n\r\nabcdef",
        b"HTTP/1.1 206 " + b"x" * 100_000,
        b"",
    ],
    ids=["no HTTP", "chunks", "two lengths", "no length", "too much", "no end", "nothing"],
)
def test_an_answer_of_another_kind_is_unusable(said: bytes) -> None:
    with pytest.raises(StoreUnusableError):
        asyncio.run(Scripted([[said]]).read((0, 3)))


def test_a_slow_store_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time, though the whole does not."""
    monkeypatch.setattr(store_reader, "_SILENT_SECONDS", 0.5)
    body = b"y" * 40
    store = Scripted([[part(body)[:-20], *(body[:1] for _ in range(20))]])
    assert asyncio.run(store.read((0, 40))) == [body]


@pytest.mark.parametrize("is_full", [True, False])
def test_a_request_that_does_not_fit_at_once_is_sent_whole(*, is_full: bool) -> None:
    async def sent() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for sock in (ours, theirs):
                sock.setblocking(False)
            before = 0
            while is_full:  # as long as it takes some
                try:
                    before += ours.send(b"x" * 10_000)
                except BlockingIOError:
                    break
            loop, got = asyncio.get_running_loop(), b""
            sending = asyncio.ensure_future(store_socket._send(ours, b"y" * 3_000_000))
            while len(got) < before + 3_000_000:
                got += await loop.sock_recv(theirs, 1 << 20)
            await sending
            return got[before:]

    assert asyncio.run(sent()) == b"y" * 3_000_000
