"""The limits of a request's head, each crossed by one."""

import socket
from collections.abc import Iterator

import pytest

from towpath.testing import Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(store_reserve=0) as own:
        yield own


def status(server: Server, *lines: bytes) -> bytes:
    """Send a head; return the first line of what comes."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        head = [b"GET /health HTTP/1.1", b"Host: " + host.encode(), b"Connection: close", *lines]
        sock.sendall(b"\r\n".join([*head, b"", b""]))
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    return answer.partition(b"\r\n")[0]


def test_a_request_has_a_hundred_headers_and_no_more(server: Server) -> None:
    assert status(server, *[b"A: b"] * 98) == b"HTTP/1.1 200 OK"
    assert status(server, *[b"A: b"] * 99).startswith(b"HTTP/1.1 4")


def test_its_headers_have_64_kib_and_no_more(server: Server) -> None:
    host = server.url.removeprefix("http://").partition(":")[0]
    others = len("/health" + "Host" + host + "Connection" + "close" + "A")
    assert status(server, b"A: " + b"b" * (65536 - others)) == b"HTTP/1.1 200 OK"
    assert status(server, b"A: " + b"b" * (65537 - others)).startswith(b"HTTP/1.1 4")
