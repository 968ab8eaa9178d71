"""Servers that hang up within their head, and heads at their limits, crossed by one."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from towpath.errors import BadResponseError, SourceUnavailableError
from towpath.net.guard import Guard
from towpath.net.origin import Origin
from towpath.net.policy import AddressPolicy

LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.fixture
def answered() -> Iterator[Callable[[bytes], bytes]]:
    """Fetch from a server that sends given bytes and hangs up; return the body."""
    server = socket.create_server(("127.0.0.1", 0))
    answers: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                sock.recv(65536)
                sock.sendall(answers[0])
                sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def fetch(answer: bytes) -> bytes:
        answers[:] = [answer]
        origin = Origin(Guard(AddressPolicy(("127.0.0.1",)), connect_seconds=5), "test", patience=5)
        opened = origin.open(f"http://127.0.0.1:{server.getsockname()[1]}/a", {})
        try:
            return b"".join(bytes(piece) for piece in opened.chunks())
        finally:
            opened.close()

    yield fetch
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (b"", SourceUnavailableError, "without an answer"),
        (b"HT", SourceUnavailableError, "within its headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", SourceUnavailableError, "within its headers"),
        (b"SSH-2.0-OpenSSH_9\r\n", BadResponseError, "not HTTP"),
    ],
)
def test_a_server_that_hangs_up_within_its_head_is_told_by_what_it_sent(
    answered, answer: bytes, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        answered(answer)


def test_ten_interim_answers_come_before_the_last_one_and_no_eleventh(answered) -> None:
    assert answered(INTERIM * 10 + LAST) == b"body"
    with pytest.raises(BadResponseError, match="more than 10 interim answers"):
        answered(INTERIM * 11 + LAST)


def test_a_head_has_a_hundred_fields_and_no_more(answered) -> None:
    def with_fields(count: int) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n" + b"A: b\r\n" * (count - 1) + b"\r\nbody"

    assert answered(with_fields(100)) == b"body"
    with pytest.raises(BadResponseError, match="more than 100 header fields"):
        answered(with_fields(101))
