"""Who is let in: silent connections make room, busy ones are counted, health always answers."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from websockets.sync.client import connect

from towpath.errors import ClientBusyError, ServerBusyError
from towpath.web.connections import ConnectionLimits, Connections, identifier
from towpath.web.serving import Listener, ServerGroup, run_loop


class Guest:
    """A connection that remembers that it was closed."""

    def __init__(self) -> None:
        self.is_dismissed = False

    def dismiss(self) -> None:
        self.is_dismissed = True


# --- the book ------------------------------------------------------------------------------------


def test_the_longest_silent_connection_goes_when_one_more_comes() -> None:
    """trust T43."""
    book, guests = Connections(ConnectionLimits(connections=3)), [Guest() for _ in range(4)]
    for guest in guests[:3]:
        book.arrive(guest, None)
    book.begin(guests[0])
    book.rest(guests[0])  # it spoke: now the second one is silent longest
    book.arrive(guests[3], None)
    assert [guest.is_dismissed for guest in guests] == [False, True, False, False]
    assert book.counts.dismissed == 1


def test_a_request_over_the_limit_is_refused_and_the_one_after_its_end_is_not() -> None:
    book, guests = Connections(ConnectionLimits(connections=2)), [Guest() for _ in range(3)]
    for guest in guests:
        book.arrive(guest, None)
        if guest is not guests[2]:
            assert book.begin(guest) is None
    assert isinstance(book.begin(guests[2]), ServerBusyError)
    book.leave(guests[2])
    book.rest(guests[0])
    assert book.begin(guests[0]) is None
    assert not any(guest.is_dismissed for guest in guests)


def test_a_client_over_its_share_closes_its_own_connections_and_no_others() -> None:
    book = Connections(ConnectionLimits(connections=100, silent_of_client=2, of_client=3))
    mine, others = [Guest() for _ in range(3)], Guest()
    book.arrive(others, "203.0.113.1")
    for guest in mine:
        book.arrive(guest, "198.51.100.7")
    assert [g.is_dismissed for g in (*mine, others)] == [True, False, False, False]


def test_a_client_with_too_many_requests_is_told() -> None:
    book = Connections(ConnectionLimits(connections=100, of_client=2))
    guests = [Guest() for _ in range(3)]
    said = []
    for guest in guests:
        book.arrive(guest, "198.51.100.7")
        said.append(book.begin(guest))
    assert said[:2] == [None, None]
    assert isinstance(said[2], ClientBusyError)


def test_what_comes_through_a_proxy_counts_for_whom_the_proxy_names() -> None:
    book = Connections(ConnectionLimits(of_client=1))
    assert book.begin_of("a") is None
    assert isinstance(book.begin_of("a"), ClientBusyError)
    assert book.begin_of("b") is None
    book.end_of("a")
    assert book.begin_of("a") is None


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.9", None),
        ("10.1.2.3", None),  # a trusted proxy
        ("not an address", None),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(address: str, client: str | None) -> None:
    assert identifier(["10.0.0.0/8"])(address) == client


class Visits(RuleBasedStateMachine):
    """Connections come, ask, rest and go in any order; the book adds up."""

    def __init__(self) -> None:
        super().__init__()
        limits = ConnectionLimits(connections=5, of_client=3, silent_of_client=2)
        self.book = Connections(limits)
        self.guests: list[Guest] = []

    @rule(address=st.sampled_from([None, "198.51.100.1", "198.51.100.2", "127.0.0.1"]))
    def arrive(self, address: str | None) -> None:
        self.guests.append(Guest())
        self.book.arrive(self.guests[-1], address)

    @precondition(lambda self: self.guests)
    @rule(data=st.data(), step=st.sampled_from(["begin", "rest", "leave"]))
    def move(self, data: st.DataObject, step: str) -> None:
        getattr(self.book, step)(data.draw(st.sampled_from(self.guests)))

    @invariant()
    def silent_connections_fit(self) -> None:
        counts = self.book.counts
        assert counts.silent <= 5 or counts.busy == 0
        assert counts.silent + counts.busy <= 5 + 64

    def teardown(self) -> None:
        for guest in self.guests:
            self.book.leave(guest)
        assert (self.book.counts.silent, self.book.counts.busy) == (0, 0)
        assert self.book._clients == {}


TestVisits = Visits.TestCase


# --- a server ------------------------------------------------------------------------------------

HELD = threading.Event()


async def hold(_: object) -> JSONResponse:
    await asyncio.to_thread(HELD.wait, 20)
    return JSONResponse("held")


async def health(_: object) -> JSONResponse:
    return JSONResponse("well")


async def echo(caller) -> None:
    await caller.accept()
    async for text in caller.iter_text():
        await caller.send_text(text)


@contextmanager
def served(limits: ConnectionLimits, **options: object) -> Iterator[tuple[int, Connections]]:
    """Serve three routes; yield the port and the book."""
    HELD.clear()
    routes = [Route("/hold", hold), Route("/health", health), WebSocketRoute("/echo", echo)]
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    book = Connections(limits, identifier(options.get("trusted_proxies", ())))
    up = threading.Event()
    ends: list = []

    async def main() -> None:
        listener = Listener(Starlette(routes=routes), sock)
        group = ServerGroup([listener], connections=book, always=["/health"], grace=1, **options)
        ends.append((asyncio.get_running_loop(), group))
        serving = asyncio.ensure_future(group.serve())
        await group.started()
        up.set()
        await serving

    thread = threading.Thread(target=lambda: run_loop(main()))
    thread.start()
    assert up.wait(10)
    try:
        yield sock.getsockname()[1], book
    finally:
        HELD.set()
        ends[0][0].call_soon_threadsafe(ends[0][1].stop)
        thread.join(20)


def silent(port: int, text: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(text)
    return sock


def get(port: int, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=10)


@pytest.mark.parametrize(
    "text", [b"", b"GET /health HTTP/1.1\r\nHost:", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_a_crowd_of_silent_connections_keeps_nobody_out(text: bytes) -> None:
    """trust T43: silent from the start, after half a head, and after an answer."""
    with served(ConnectionLimits(connections=20)) as (port, book), ExitStack() as crowd:
        for _ in range(50):
            crowd.enter_context(silent(port, text))
        assert get(port, "/health").status_code == 200
        assert book.counts.silent <= 21
        assert book.counts.dismissed >= 29


@pytest.mark.parametrize("more", [b"Content-Length: 1000", b"X: " + b"a" * 20_000])
def test_a_websocket_that_is_not_asked_for_properly_is_refused(more: bytes) -> None:
    """trust T3: such a connection stayed open for good, without a word."""
    head = (
        b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    with (
        served(ConnectionLimits()) as (port, book),
        silent(port, head + more + b"\r\n\r\n") as sock,
    ):
        assert sock.recv(1000).startswith(b"HTTP/1.1 400")
        assert sock.recv(1000) == b""
        waited_for(lambda: book.counts.busy == 0)


def test_requests_over_the_limit_are_told_so_in_json_and_health_answers() -> None:
    """trust T43."""
    with served(ConnectionLimits(connections=3)) as (port, book), ExitStack() as held:
        for _ in range(3):
            held.enter_context(silent(port, b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"))
        waited_for(lambda: book.counts.busy == 3)
        refused = get(port, "/hold")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "3 requests, which is its limit" in refused.json()["detail"]
        assert get(port, "/health").json() == "well"
        HELD.set()
        waited_for(lambda: book.counts.busy == 0)
        assert get(port, "/hold").json() == "held"


def test_a_websocket_counts_until_it_ends() -> None:
    with served(ConnectionLimits(connections=1)) as (port, book):
        with connect(f"ws://127.0.0.1:{port}/echo") as caller:
            caller.send("a")
            assert caller.recv(10) == "a"
            assert book.counts.busy == 1
            assert get(port, "/hold").status_code == 503
        waited_for(lambda: book.counts.busy == 0)


def test_a_proxy_s_clients_have_shares_of_their_own() -> None:
    limits = ConnectionLimits(of_client=1)
    with (
        served(limits, trusted_proxies=["127.0.0.1"]) as (port, _),
        ExitStack() as held,
    ):
        head = "GET /hold HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.{}\r\n\r\n"
        held.enter_context(silent(port, head.format("7:4321").encode()))  # with a port, as some do
        waited_for(lambda: get(port, "/health", **{"X-Forwarded-For": "198.51.100.7"}).is_error)
        refused = get(port, "/health", **{"X-Forwarded-For": "198.51.100.7"})
        assert refused.status_code == 429
        assert "from your address" in refused.json()["detail"]
        assert get(port, "/health", **{"X-Forwarded-For": "198.51.100.8"}).status_code == 200


def test_a_client_of_its_own_address_has_a_share_and_no_more(monkeypatch) -> None:
    monkeypatch.setattr("tests.web.test_connections.identifier", lambda _: str)
    with served(ConnectionLimits(of_client=1)) as (port, book), ExitStack() as held:
        held.enter_context(silent(port, b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"))
        waited_for(lambda: book.counts.busy == 1)
        assert get(port, "/hold").status_code == 429


def test_what_is_not_http_is_refused_in_json() -> None:
    with served(ConnectionLimits()) as (port, _), silent(port, b"SSH-2.0-x\r\n\r\n") as sock:
        head, _, body = sock.recv(10_000).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body) == {"detail": "Invalid HTTP request received."}


def test_a_client_that_sends_too_many_requests_ahead_is_cut_off() -> None:
    ahead = b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"
    with served(ConnectionLimits()) as (port, book), silent(port, ahead * 200) as sock:
        with suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        assert book.counts.busy == 0


def waited_for(is_so) -> None:
    """Wait until *is_so*."""
    for _ in range(500):
        if is_so():
            return
        threading.Event().wait(0.02)
    raise AssertionError
