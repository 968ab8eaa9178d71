"""One-step uploads over real sockets: what comes out is what went in, or nothing is left."""

import hashlib
import os
import re
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import pytest

from towpath.storage.room import Room
from towpath.testing import Server, serve

LIMIT = 3_000_000
APP = """
import towpath
class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self, text: str = "") -> int:
        return len(text)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "echo.py"
    file.write_text(APP)
    with serve(str(file), store_reserve=0, max_upload_bytes=LIMIT) as own:
        yield own


def upload(server: Server, data: bytes = b"hello", **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"{server.url}/files/upload", content=data, headers=named)


def store_of(server: Server) -> Path:
    return server.running.store.blobs.root


def nothing_in_tmp(server: Server) -> bool:
    for _ in range(50):
        if not list((store_of(server) / "tmp").iterdir()):
            return True
        time.sleep(0.1)
    return False


def test_no_file_was_changed_after_it_was_sent(server: Server) -> None:
    """Last-Modified is never later than Date (RFC 9110, 8.8.2.1), and is a condition all the same."""
    for _ in range(30):
        url = upload(server).json()["access_url"]
        answer = httpx2.get(url)
        modified, sent = (
            parsedate_to_datetime(answer.headers[name]) for name in ("last-modified", "date")
        )
        assert modified <= sent <= datetime.now(UTC)
        since = {"if-modified-since": answer.headers["last-modified"]}
        assert httpx2.get(url, headers=since).status_code == 304
        time.sleep(0.05)


@pytest.mark.parametrize("size", [0, 1, 1024, 1_048_576, LIMIT])
def test_the_bytes_come_back(server: Server, size: int) -> None:
    data = os.urandom(size)
    answer = upload(server, data, content_type="application/x-thing", x_fal_file_name="a b.bin")
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"access_url", "expires_at"}
    url = answer.json()["access_url"]
    assert answer.headers["location"] == url
    file = httpx2.get(url)
    assert (file.content, file.headers["content-type"]) == (data, "application/x-thing")
    assert "a b.bin" in file.headers["content-disposition"]


def test_a_browsers_form_works(server: Server) -> None:
    files = {"file": ("näme.txt", b"from a form", "text/plain")}
    answer = httpx2.post(f"{server.url}/files/upload", files=files, data={"other": "x"})
    assert answer.status_code == 201, answer.text
    file = httpx2.get(answer.json()["access_url"])
    assert file.content == b"from a form"
    assert file.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_curl_says_of_a_body_is_no_type(server: Server) -> None:
    answer = upload(
        server,
        b"\x89PNG\r\n\x1a\n" + bytes(20),
        content_type="application/x-www-form-urlencoded",
    )
    assert httpx2.head(answer.json()["access_url"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize("header", ["x-fal-object-lifecycle-preference", "x-fal-object-lifecycle"])
def test_the_life_is_the_callers(server: Server, header: str) -> None:
    life = '{"expiration_duration_seconds": 1}'
    answer = upload(server, **{header: life})
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", answer.json()["expires_at"])
    time.sleep(2.1)
    assert httpx2.get(answer.json()["access_url"]).status_code == 410
    kept = upload(server, **{header: '{"expiration_duration_seconds": null}'})
    assert kept.json()["expires_at"] is None


def test_a_stated_digest_is_checked(server: Server) -> None:
    right = b64encode(hashlib.sha256(b"hello").digest()).decode()
    assert upload(server, content_digest=f"sha-256=:{right}:").status_code == 201
    assert upload(server, content_digest="md5=:eA==:, crc32c=:eA==:").status_code == 201
    wrong = upload(server, b"hellO", content_digest=f"sha-256=:{right}:")
    assert wrong.status_code == 400
    assert hashlib.sha256(b"hellO").hexdigest() in wrong.json()["detail"]
    assert upload(server, content_digest="sha-256=:!:").status_code == 400
    assert nothing_in_tmp(server)


def test_a_digest_or_a_coding_that_cannot_be_checked_is_refused(server: Server) -> None:
    """Whoever states a digest believes that it was compared: see trust T17."""
    for field in ("content_digest", "repr_digest"):
        for stated in ("banana", "sha-256=banana", "sha-256=:aGVsbG8=:", "sha-512=:eA==:"):
            answer = upload(server, **{field: stated})
            assert answer.status_code == 400, stated
            assert "RFC 9530" in answer.json()["detail"]
        wrong = b64encode(hashlib.sha512(b"hellO").digest()).decode()
        answer = upload(server, **{field: f"sha-512=:{wrong}:"})
        assert (answer.status_code, "SHA-512" in answer.text) == (400, True)
    for coding, status in (("gzip", 415), ("identity, br", 415), ("identity", 201), ("", 201)):
        answer = upload(server, content_encoding=coding)
        assert answer.status_code == status
        assert answer.headers.get("accept-encoding") == ("identity" if status == 415 else None)
    assert nothing_in_tmp(server)


def test_a_digest_of_a_form_is_of_the_whole_body(server: Server) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nA\r\n--x--\r\n'
    for data, status in ((body, 201), (body + b" ", 400)):
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        headers["Content-Digest"] = f"sha-256=:{digest}:"
        answer = httpx2.post(f"{server.url}/files/upload", content=body, headers=headers)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"x_fal_object_lifecycle_preference": "soon"}, "expiration_duration_seconds"),
        ({"x_fal_object_lifecycle": '{"expiration_duration_seconds": -5}'}, "malformed"),
        ({"x_fal_object_lifecycle": '{"expiration_duration_seconds": 10000000000}'}, "malformed"),
        ({"content_type": "multipart/form-data; boundary=x"}, "file"),
    ],
)
def test_what_is_malformed_is_named(server: Server, headers: dict, word: str) -> None:
    answer = upload(server, b"--x--\r\n", **headers)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]


def test_other_methods_are_not_allowed(server: Server) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert httpx2.request(method, f"{server.url}/files/upload").status_code == 405


def test_over_the_limit_is_refused_before_and_while_it_comes(server: Server) -> None:
    declared = upload(server, bytes(LIMIT + 1))
    assert declared.status_code == 413
    assert f"the limit is {LIMIT} bytes" in declared.json()["detail"]

    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(500_000)

    try:
        undeclared = httpx2.post(f"{server.url}/files/upload", content=endless())
    except httpx2.TransportError:  # it hangs up while we send
        pass
    else:
        assert undeclared.status_code == 413
    assert nothing_in_tmp(server)


def talk(server: Server, head: str, body: bytes) -> bytes:
    """Send a raw request and hang up after its body; return what was answered until then."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(head.encode() + body)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
        return answer


def test_a_body_that_is_cut_leaves_nothing(server: Server) -> None:
    before = server.running.store.totals()
    head = "POST /files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"
    assert b" 201 " not in talk(server, head, bytes(1_200_000))
    chunked = "POST /files/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 201 " not in talk(server, chunked, b"100000\r\n" + bytes(1_000_000))
    assert nothing_in_tmp(server)
    assert server.running.store.totals() == before


def test_a_body_longer_than_declared_is_no_http(server: Server) -> None:
    head = "POST /files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    assert b"HTTP/1.1 400" in talk(server, head, b"helloGARBAGE\r\n\r\n")
    assert nothing_in_tmp(server)


def test_with_keys_an_upload_needs_one_and_a_read_does_not(tmp_path: Path) -> None:
    file = tmp_path / "echo.py"
    file.write_text(APP)
    with serve(str(file), store_reserve=0, keys=("id:secret",)) as own:
        assert upload(own).status_code == 401
        answer = upload(own, authorization="Key id:secret")
        assert answer.status_code == 201
        assert httpx2.get(answer.json()["access_url"]).content == b"hello"


def test_a_full_disk_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = server.running.store.blobs
    monkeypatch.setattr(blobs, "_room", Room(blobs.root, 2**60))
    answer = upload(server)
    assert answer.status_code == 507
    assert "the server's disk is full" in answer.json()["detail"]
    assert nothing_in_tmp(server)
