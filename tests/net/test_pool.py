"""Connections that are used again, and a proxy that the author gives."""

import base64
import socket
import threading

import pytest
from tests.support.origin import Origin as WebServer

from towpath.errors import BlockedAddressError, InvalidURLError, SourceUnavailableError
from towpath.net.connection import Connection
from towpath.net.guard import Guard
from towpath.net.origin import Origin
from towpath.net.policy import AddressPolicy
from towpath.net.pool import Pool
from towpath.net.proxies import parse_proxy
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_file

OPEN = AddressPolicy(("127.0.0.1",))


def connection() -> tuple[Connection, socket.socket]:
    mine, theirs = socket.socketpair()
    return Connection(mine, "127.0.0.1"), theirs


def test_an_open_connection_comes_back_once() -> None:
    pool = Pool()
    kept, other = connection()
    pool.give("k", kept)
    assert pool.take("x") is None
    assert pool.take("k") is kept
    assert pool.take("k") is None
    kept.close()
    other.close()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n"], ids=["closed", "spoke"])
def test_one_that_closed_or_spoke_unasked_does_not(says: bytes) -> None:
    pool = Pool()
    kept, other = connection()
    pool.give("k", kept)
    other.sendall(says) if says else other.close()
    assert pool.take("k") is None
    other.close()


def test_there_are_never_too_many() -> None:
    pool = Pool()
    pairs = [connection() for _ in range(20)]
    for kept, _ in pairs:
        pool.give("k", kept)
    assert sum(pool.take("k") is not None for _ in range(30)) == 16
    for kept, other in pairs:
        kept.close()
        other.close()


def test_a_body_read_whole_leaves_the_connection_for_the_next_request() -> None:
    ports = []

    def behave(exchange: Exchange) -> None:
        ports.append(exchange._sock.getpeername()[1])
        exchange.answer(b"x" * 100_000)

    with origin_of({"/a": behave}) as server:
        client = Origin(Guard(OPEN), "t")
        for whole in (True, True, False, True):
            answer = client.open(server.url("/a"), {})
            if whole:
                assert len(b"".join(map(bytes, answer.chunks()))) == 100_000
            answer.close()
    assert ports[0] == ports[1] == ports[2] != ports[3]


def test_another_policy_does_not_get_the_connection() -> None:
    with origin_of({"/a": lambda exchange: exchange.answer(b"x")}) as server:
        url = server.url("/a")
        answer = Origin(Guard(OPEN), "t").open(url, {})
        b"".join(map(bytes, answer.chunks()))
        answer.close()
        with pytest.raises(BlockedAddressError):
            Origin(Guard(AddressPolicy()), "t").open(url, {})


# --- proxies ---


class ForwardProxy(threading.Thread):
    """Takes CONNECT and absolute-form requests, and notes them."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://me:pass@127.0.0.1:{self.listener.getsockname()[1]}"
        self.heads: list[str] = []

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                head = client.recv(65536).decode()
                self.heads.append(head)
                client.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nproxied"
                )


@pytest.fixture
def proxy():
    server = ForwardProxy()
    server.start()
    yield server
    server.listener.close()


@pytest.mark.usefixtures("settings")
def test_a_proxy_is_used_when_it_is_given(proxy: ForwardProxy) -> None:
    path = download_file("http://files.invalid/a.bin", "in", proxy=proxy.url)
    assert path.read_bytes() == b"proxied"
    assert proxy.heads[0].startswith("GET http://files.invalid/a.bin HTTP/1.1")
    token = base64.b64encode(b"me:pass").decode()
    assert f"proxy-authorization: Basic {token}" in proxy.heads[0]


def test_a_proxy_does_not_open_what_the_guard_shuts(proxy: ForwardProxy) -> None:
    guard = Guard(AddressPolicy(), proxy=parse_proxy(proxy.url))
    for url in ("http://169.254.169.254/", "http://localhost/", "http://2130706433/"):
        with pytest.raises(BlockedAddressError):
            Origin(guard, "t").open(url, {})
    assert proxy.heads == []


def test_https_goes_through_a_tunnel(proxy: ForwardProxy) -> None:
    guard = Guard(AddressPolicy(), proxy=parse_proxy(proxy.url))
    with pytest.raises((SourceUnavailableError, Exception)):
        Origin(guard, "t", patience=2).open("https://files.invalid/a", {})
    assert proxy.heads[0].startswith("CONNECT files.invalid:443 HTTP/1.1")


@pytest.mark.parametrize(
    "url", ["https://p.test:1", "socks5://p.test", "p.test:80", "http://", "http://a b"]
)
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(InvalidURLError, match="proxy"):
        parse_proxy(url)


def test_a_server_that_keeps_no_promise_costs_one_more_connection() -> None:
    with WebServer() as server:
        url = server.put("/a", b"x")
        client = Origin(Guard(OPEN), "t")
        for _ in range(5):
            answer = client.open(url, {})
            assert b"".join(map(bytes, answer.chunks())) == b"x"
            answer.close()
