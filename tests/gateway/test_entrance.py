"""Paths over real sockets, spelled as nobody means them (trust T8), and what they leave behind."""

import http.client
import logging
import re
import socket
from collections.abc import Iterator
from textwrap import dedent

import httpx2
import pytest

from towpath.testing import Server, serve

CODE = """
    import towpath
    class Sample(towpath.App):
        @towpath.endpoint("/")
        def run(self, text: str = "") -> dict:
            return {"text": text}
        @towpath.endpoint("/odd")
        def odd(self):
            from starlette.responses import Response
            return Response(status_code=299)
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("app") / "sample.py"
    file.write_text(dedent(CODE))
    return str(file)


@pytest.fixture(scope="module")
def opened(app: str) -> Iterator[Server]:
    with serve(app, store_reserve=0) as server:
        yield server


@pytest.fixture(scope="module")
def locked(app: str) -> Iterator[Server]:
    with serve(app, store_reserve=0, keys="me:secret") as server:
        yield server


def asked(server: Server, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Send a path byte by byte as it is; return status and body."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    try:
        body = b"{}" if method == "POST" else None
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


ODD = [
    "/local%2Fsample",
    "/local/sample%2Fx",
    "/local%2fsample/x",
    "//local/sample",
    "/local//sample",
    "/local/sample;x",
    "/LOCAL/sample",
    "/local/made-up",
    "/local/sample/-/requests/x",
    "/local/sample/%2d/requests/x",
    "/local/sample/%2D%2Frequests%2Fx",
    "/local/sample/x/../-/requests/x",
    "/local/sample/%2e/x",
    "/local",
]


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ODD)
def test_an_odd_path_is_not_found(opened: Server, path: str, method: str) -> None:
    assert asked(opened, method, path)[0] == 404


@pytest.mark.parametrize("path", ODD)
def test_nothing_is_queued_under_an_odd_path(opened: Server, path: str) -> None:
    status, text = asked(opened, "POST", f"/queue{path}")
    assert status == 404, text
    if "/requests/" not in path:
        status, text = asked(opened, "POST", path, Host="queue.localhost")
        assert status == 404, text
    listed = httpx2.get(f"{opened.url}/admin/requests").json()["items"]
    assert {item["app"] for item in listed} <= {"local/sample"}


@pytest.mark.parametrize("path", [*ODD, "/local/sample/health%2F", "/local/sample//health"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_key_an_odd_path_says_nothing_but_that(locked: Server, path, method) -> None:
    for before in ("", "/queue"):
        assert asked(locked, method, before + path)[0] == 401


@pytest.mark.parametrize(
    ("given", "sentence", "logged"),
    [
        ({}, "This server needs a key. Send", "TOWPATH_KEYS"),
        ({"Authorization": "Key them:hidden"}, "This key is not known. Send", "Its id is 'them'."),
        ({"Authorization": "Bearer hidden"}, "This key is not known. Send", "known. Send"),
        ({"Authorization": "Basic hidden"}, "This server needs a key. Send", "TOWPATH_KEYS"),
        ({"Authorization": "Key "}, "This server needs a key. Send", "TOWPATH_KEYS"),
    ],
)
def test_an_unknown_key_is_told_apart_from_none(
    locked: Server, caplog, given: dict[str, str], sentence: str, logged: str
) -> None:
    """Neither the answer nor the log repeats a secret (trust T55)."""
    caplog.set_level(logging.INFO)
    status, said = asked(locked, "POST", "/local/entrance", **given)
    assert (status, sentence in said) == (401, True)
    reasons = " ".join(str(getattr(line, "reason", "")) for line in caplog.records)
    assert logged in reasons
    assert "hidden" not in said + reasons
    assert "them" not in said


def test_a_health_check_needs_no_key_and_takes_no_body(locked: Server) -> None:
    """The runner's own health is a GET without a body: see trust T3."""
    assert asked(locked, "GET", "/local/sample/health")[0] == 200
    assert asked(locked, "HEAD", "/local/sample/health")[0] != 401
    assert asked(locked, "POST", "/local/sample/health")[0] == 401
    assert asked(locked, "GET", "/local/sample/health", **{"Content-Length": "9"})[0] == 401


@pytest.mark.parametrize("path", ["/%6cocal/sample", "/local/s%61mple/", "/local/sample//"])
def test_an_equivalent_path_is_the_same_one(opened: Server, path: str) -> None:
    assert asked(opened, "POST", path)[0] == 200
    status, text = asked(opened, "POST", f"/queue{path}")
    assert status == 200
    assert "/queue/local/sample/requests/" in text


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/queue/local/sample", 405, "POST"),
        ("PUT", "/queue/local/sample/x", 405, "POST"),
        ("GET", "/queue/local/sample/requests/x", 404, None),
        ("PUT", "/queue/local/sample/requests/x", 405, "GET"),
        ("GET", "/queue/local/sample/requests/x/cancel", 405, "PUT"),
        ("PUT", "/queue/local/sample/requests/x/cancel", 404, None),
        ("POST", "/queue/local/sample/requests/x/cancel", 405, "PUT"),
        ("POST", "/queue/local/sample/requests/x/status", 405, "GET"),
        ("POST", "/queue/local/sample/requests/x", 405, "GET"),
        ("GET", "/queue", 404, None),
        ("GET", "/queue/local", 404, None),
    ],
)
def test_the_queue_says_which_methods_it_takes(opened, method, path, status, allowed) -> None:
    answer = httpx2.request(method, opened.url + path)
    assert answer.status_code == status
    assert answer.headers.get("allow") == allowed


def series(server: Server) -> set[str]:
    """Return the label sets of all request counts."""
    text = httpx2.get(f"{server.url}/metrics").text
    return set(re.findall(r"^towpath_request\w*?(?:_total|_count)(\{.*?\})", text, re.MULTILINE))


def test_made_up_names_and_statuses_leave_no_series(opened: Server) -> None:
    """Names that strangers make up would stay for ever: see trust T8 and T17."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    for path in ODD:
        asked(opened, "POST", path)
        asked(opened, "POST", f"/queue{path}")
        with pytest.raises(InvalidStatus):
            connect(f"ws{opened.url[4:]}{path}").close()
    asked(opened, "GET", "/queue/local/made-up/requests/x/status")
    asked(opened, "POST", "/local/sample/odd")
    found = series(opened)
    apps = {re.search('app="(.*?)"', labels)[1] for labels in found}
    assert apps <= {"", "local/sample"}
    statuses = {match[1] for labels in found if (match := re.search('status="(.*?)"', labels))}
    assert "2xx" in statuses
    assert "299" not in statuses


def raw(server: Server, head: str) -> str:
    """Send bytes as they are; return the status line and whether the connection ended."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall(head.replace("\n", "\r\n").encode())
        sock.settimeout(30)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    return answer.decode("latin-1")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /health HTTP/1.1\nConnection: close\n\n", 400),
        ("GET /health HTTP/1.1\nHost: localhost\nHost: localhost\nConnection: close\n\n", 400),
        ("GET /health HTTP/1.1\nHost: a b\nConnection: close\n\n", 400),
        ("GET /health HTTP/1.0\n\n", 200),
        ("GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n", 200),
        ("GET /files/x/y HTTP/1.1\nHost: a\nHost: b\n\n", 400),
        (
            (
                "POST /local/sample HTTP/1.1\nHost: localhost\nTransfer-Encoding: gzip, chunked\n\n"
                "2\n{}\n0\n\n"
            ),
            501,
        ),
        (
            (
                "POST /files/upload HTTP/1.1\nHost: localhost\nTransfer-Encoding: gzip, chunked\n\n"
                "2\n{}\n0\n\n"
            ),
            501,
        ),
        (
            (
                "POST /queue/local/sample HTTP/1.1\nHost: localhost\n"
                "Transfer-Encoding: deflate, chunked\n\n0\n\n"
            ),
            501,
        ),
        (
            (
                "POST /local/sample HTTP/1.1\nHost: localhost\nContent-Type: application/json\n"
                "Transfer-Encoding: chunked\nConnection: close\n\n2\n{}\n0\n\n"
            ),
            200,
        ),
        (
            (
                "POST /local/sample HTTP/1.1\nHost: localhost\nContent-Length: 2\n"
                "Transfer-Encoding: chunked\n\n2\n{}\n0\n\n"
            ),
            400,
        ),
    ],
)
def test_a_head_that_breaks_http_ends_the_connection(opened: Server, head, status) -> None:
    """RFC 9112 sections 3.2 and 6.1: see trust T17."""
    answer = raw(opened, head)
    assert answer.startswith(f"HTTP/1.1 {status} "), answer
    assert "connection: close" in answer.lower()


@pytest.mark.parametrize(
    ("path", "opened_status", "locked_status"),
    [
        ("/", 403, 307),
        ("/health", 403, 200),
        ("/apps", 403, 401),
        ("/metrics", 403, 401),
        ("/local/sample/openapi.json", 403, 401),
        ("/playground/", 403, 200),
        ("/queue/local/sample/requests/x", 403, 401),
        ("/admin/files", 403, 403),
        ("/files/" + "a" * 32 + "/x", 404, 404),
    ],
)
def test_a_page_whose_name_is_made_to_mean_us_reads_nothing(
    opened: Server, locked: Server, path: str, opened_status: int, locked_status: int
) -> None:
    """DNS rebinding: see trust T17. Public files are everybody's; keys protect the rest."""
    for server, status in ((opened, opened_status), (locked, locked_status)):
        found, text = asked(server, "GET", path, Host="evil.test")
        assert found == status, text
        assert "TOWPATH" not in text


def test_a_page_of_another_site_opens_no_websocket_by_its_own_name(opened: Server) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    port = opened.url.rpartition(":")[2]
    with (
        socket.create_connection(("127.0.0.1", int(port))) as sock,
        pytest.raises(InvalidStatus, match="403"),
    ):
        connect(f"ws://evil.test:{port}/local/sample", sock=sock).close()
