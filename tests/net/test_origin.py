"""Real sockets: what a stranger's server may do, and what comes of it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
from tests.support.origin import Origin as WebServer
from tests.support.origin import closed_port

from towpath.context import RequestContext, serving
from towpath.errors import (
    BadResponseError,
    BlockedAddressError,
    DownloadError,
    InvalidURLError,
    SourceUnavailableError,
    TooManyRedirectsError,
    TruncatedError,
)
from towpath.net.guard import Guard
from towpath.net.origin import Origin
from towpath.net.patience import Patience, Watch
from towpath.net.policy import AddressPolicy

OPEN = AddressPolicy(("127.0.0.1", "localhost"))


def client(policy: AddressPolicy = OPEN, patience: float = 5.0) -> Origin:
    return Origin(Guard(policy, connect_seconds=2), "towpath-test", patience=patience)


def body_of(url: str, origin: Origin | None = None, **headers: str) -> bytes:
    answer = (origin or client()).open(url, headers)
    try:
        return b"".join(answer.chunks())
    finally:
        answer.close()


def test_a_body_arrives_whole(origin: WebServer) -> None:
    data = bytes(range(256)) * 5000
    assert body_of(origin.put("/a", data)) == data
    sent = origin.seen[0].headers
    assert sent["user-agent"] == "towpath-test"
    assert sent["accept-encoding"] == "identity"


def test_an_address_that_is_not_allowed_gets_no_packet(origin: WebServer) -> None:
    url = origin.put("/a", b"x")
    with pytest.raises(BlockedAddressError):
        body_of(url, client(AddressPolicy()))
    assert origin.seen == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0"])
def test_no_spelling_of_loopback_passes(origin: WebServer, host: str) -> None:
    with pytest.raises(DownloadError):
        body_of(f"http://{host}:{origin.port}/a", client(AddressPolicy()))
    assert origin.seen == []


def test_a_redirect_to_a_private_address_is_refused(origin: WebServer) -> None:
    policy = AddressPolicy((f"127.0.0.1:{origin.port}",))
    inside = f"http://127.0.0.1:{closed_port()}/secret"
    url = origin.put("/hop", status=302, headers={"Location": inside})
    with pytest.raises(BlockedAddressError):
        body_of(url, client(policy))


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x.test/", "data:,x", ""])
def test_a_redirect_to_another_scheme_or_to_nowhere_is_refused(
    origin: WebServer, location: str
) -> None:
    url = origin.put("/hop", status=302, headers={"Location": location})
    with pytest.raises((InvalidURLError, BadResponseError)):
        body_of(url)


def test_five_redirects_are_followed_and_a_sixth_is_not(origin: WebServer) -> None:
    for hop in range(6):
        origin.put(f"/{hop}", status=302, headers={"Location": f"/{hop + 1}"})
    origin.put("/6", b"end")
    assert body_of(origin.url("/1")) == b"end"
    with pytest.raises(TooManyRedirectsError):
        body_of(origin.url("/0"))


def test_caller_headers_stay_with_the_first_origin(origin: WebServer) -> None:
    with WebServer() as other:
        target = other.put("/file", b"x")
        origin.put("/same", status=302, headers={"Location": "/away"})
        origin.put("/away", status=302, headers={"Location": target})
        body_of(origin.url("/same"), **{"X-Api-Key": "s3cret", "Authorization": "Bearer t"})
        assert origin.seen[1].headers["x-api-key"] == "s3cret"
        assert "x-api-key" not in other.seen[0].headers
        assert "authorization" not in other.seen[0].headers


@pytest.mark.parametrize(
    ("name", "value"),
    [("Host", "x"), ("X-A", "b\r\nX-Evil: 1"), ("Bad Name", "x"), ("X-A", "ü€"), ("Range", "x")],
)
def test_headers_that_could_be_taken_for_something_else_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidURLError, match="header"):
        client().open("http://127.0.0.1/", {name: value})


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"body": b"half", "declared": 8}, TruncatedError),
        ({"body": b"x", "declared": "abc"}, BadResponseError),
        ({"body": b"x", "declared": "-5"}, BadResponseError),
        ({"body": b"x", "headers": {"Content-Length": "7"}}, BadResponseError),
        ({"body": b"x", "headers": {"Transfer-Encoding": "gzip"}}, BadResponseError),
        ({"body": b"x", "headers": {"Content-Encoding": "br"}}, BadResponseError),
        ({"body": b"not gzip", "headers": {"Content-Encoding": "gzip"}}, BadResponseError),
        ({"raw": b"SSH-2.0-OpenSSH_9\r\n\r\n"}, BadResponseError),
        ({"raw": b""}, SourceUnavailableError),
        ({"raw": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"}, BadResponseError),
        ({"raw": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n"}, BadResponseError),
        ({"raw": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000}, BadResponseError),
        ({"raw": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"}, BadResponseError),
        (
            {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"},
            TruncatedError,
        ),
        (
            {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n"},
            BadResponseError,
        ),
        (
            {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n0\r\n\r\n"},
            BadResponseError,
        ),
    ],
)
def test_broken_answers_are_errors_and_never_files(
    origin: WebServer, reply: dict, error: type[DownloadError]
) -> None:
    with pytest.raises(error):
        body_of(origin.put("/a", **reply))


def test_a_longer_body_than_declared_ends_at_its_length(origin: WebServer) -> None:
    assert body_of(origin.put("/a", b"abcdef", declared=3)) == b"abc"


def test_chunked_and_gzip_bodies_are_decoded(origin: WebServer) -> None:
    import gzip

    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n"
    assert body_of(origin.put("/c", raw=chunked + b"3\r\nabc\r\n0\r\n\r\n")) == b"abc"
    packed = gzip.compress(b"x" * 100_000)
    url = origin.put("/g", packed, headers={"Content-Encoding": "gzip"})
    assert body_of(url) == b"x" * 100_000
    bomb = gzip.compress(b"\0" * 50_000_000)
    url = origin.put("/bomb", bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadResponseError, match="200 times"):
        body_of(url)
    cut = origin.put("/cut", packed[:-10], headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadResponseError):
        body_of(cut)


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes, float], str]]:
    """A server that sends a head, then one byte at a time."""
    sockets: list[socket.socket] = []
    stop = threading.Event()

    def serve(head: bytes, pause: float) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def run() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(head)
                while not stop.wait(pause):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield serve
    stop.set()
    for listener in sockets:
        listener.close()


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_a_byte_now_and_then_does_not_keep_a_download_alive(dripping, head: bytes) -> None:
    url = dripping(head, 0.1)
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError):
        body_of(url, client(patience=0.8))
    assert time.monotonic() - began < 10


def test_an_unasked_101_is_refused_at_once(origin: WebServer) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"
    with pytest.raises(BadResponseError, match="101") as caught:
        body_of(origin.put("/a", raw=raw))
    assert not caught.value.retryable
    assert len(origin.seen) == 1


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (0, ["the host stalled", "no byte of the file came for 0.2 s", "patience= (now 0.2 s)"]),
        (
            65_535,
            ["the host is slow", "65535 bytes of the file came in 0.2 s", "65536 are the least"],
        ),
    ],
)
def test_the_end_of_patience_says_what_the_host_did(came: int, words: list[str]) -> None:
    patience = Patience("http://x.test/", 0.2)
    patience.note(came)
    patience.wait(0.25)
    with pytest.raises(SourceUnavailableError) as caught:
        patience.remaining()
    assert [word for word in words if word not in str(caught.value)] == []
    assert "patience=" in str(caught.value)


@pytest.mark.parametrize(
    ("pause", "words"),
    [(3600, "the host stalled: nothing came"), (0.05, "the host is slow: .* bytes came in")],
)
def test_the_end_of_a_connection_says_what_the_host_did(dripping, pause, words: str) -> None:
    url = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", pause)
    watch = Watch(Patience(url, 30), stall=0.5)
    answer = client().open(url, {}, watch=watch)
    with pytest.raises(SourceUnavailableError, match=words):
        list(answer.chunks())
    answer.close()


def test_a_refused_address_is_for_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    """Trust T17: the sentence shows neither the address nor the setting; log and notes do."""
    with pytest.raises(BlockedAddressError) as caught:
        body_of("http://localhost:9/", client(AddressPolicy()))
    error = caught.value
    assert error.host == "localhost"
    assert error.address in {"127.0.0.1", "::1"}
    assert error.address not in str(error)
    assert "TOWPATH_" not in str(error)
    detail = f"address {error.address}, to which localhost resolves, is not public"
    assert detail in error.__notes__[0]
    assert "TOWPATH_ALLOW_HOSTS=localhost" in error.__notes__[0]
    assert error.__notes__[0] in caplog.text
    assert [record.audience for record in caplog.records] == ["operator"]


def test_who_serves_a_request_notes_nothing_on_the_error() -> None:
    request = RequestContext("r", "e", "a", None, MappingProxyType({}))
    with serving(request), pytest.raises(BlockedAddressError) as caught:
        body_of("http://localhost:9/", client(AddressPolicy()))
    assert not hasattr(caught.value, "__notes__")


def test_a_silent_server_is_given_up(dripping) -> None:
    with pytest.raises(SourceUnavailableError):
        body_of(dripping(b"", 3600), client(patience=0.5))


def test_nobody_listens(origin: WebServer) -> None:
    with pytest.raises(SourceUnavailableError, match="does not answer"):
        body_of(f"http://127.0.0.1:{closed_port()}/")


def test_a_name_that_does_not_resolve_is_said_to() -> None:
    with pytest.raises(SourceUnavailableError, match=r"nowhere\.invalid does not resolve"):
        body_of("http://nowhere.invalid/")


def test_a_proxy_in_the_environment_is_not_followed(
    origin: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://127.0.0.1:{closed_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    assert body_of(origin.put("/a", b"direct")) == b"direct"
