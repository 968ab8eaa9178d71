"""The front door over real sockets: keys, origins, ids, health, metrics."""

import re
from collections.abc import Iterator
from textwrap import dedent

import httpx2
import pytest

from towpath.testing import Server, serve

CODE = """
    import towpath
    class Echo(towpath.App):
        @towpath.endpoint("/")
        def run(self, text: str = "") -> dict:
            return {"text": text}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("app") / "echo.py"
    file.write_text(dedent(CODE))
    return str(file)


@pytest.fixture(scope="module")
def opened(path: str) -> Iterator[Server]:
    with serve(path, store_reserve=0) as server:
        yield server


@pytest.fixture(scope="module")
def locked(path: str) -> Iterator[Server]:
    with serve(path, store_reserve=0, keys="me:secret,you:other") as server:
        yield server


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Key me:secret", 200),
        ("key you:other", 200),
        ("Bearer me:secret", 200),
        ("Key me:wrong", 401),
        ("Key me:", 401),
        ("me:secret", 401),
        ("Basic me:secret", 401),
        ("Key \u00e4", 401),
    ],
)
def test_a_key_opens_the_apps(locked: Server, header: str | None, status: int) -> None:
    headers = {"Authorization": header.encode()} if header else {}
    answer = httpx2.post(f"{locked.url}/local/echo", json={}, headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert "Key <id>:<secret>" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("/health", 200),
        ("/ready", 200),
        ("/playground/", 200),
        ("/playground/local/echo", 200),
        ("/local/echo/health", 200),
        ("/local/echo/openapi.json", 401),
        ("/metrics", 401),
        ("/apps", 401),
    ],
)
def test_what_needs_no_key(locked: Server, where: str, status: int) -> None:
    assert httpx2.get(locked.url + where).status_code == status


def test_every_answer_has_an_id_of_its_own(opened: Server) -> None:
    answers = [
        httpx2.get(f"{opened.url}/health"),
        httpx2.get(f"{opened.url}/nope"),
        httpx2.post(f"{opened.url}/local/echo", json={}),
        httpx2.post(f"{opened.url}/local/nope", json={}),
        httpx2.get(f"{opened.url}/files/x/y"),
        httpx2.post(
            f"{opened.url}/local/echo", content=b"{", headers={"content-type": "application/json"}
        ),
    ]
    ids = {answer.headers["x-fal-request-id"] for answer in answers}
    assert len(ids) == len(answers)
    assert all(len(request_id) == 36 for request_id in ids)


def test_health_ready_and_metrics(opened: Server) -> None:
    assert httpx2.get(f"{opened.url}/health").json()["status"] == "ok"
    ready = httpx2.get(f"{opened.url}/ready").json()
    assert ready == {"status": "ready", "apps": {"local/echo": "ready"}}
    httpx2.post(f"{opened.url}/local/echo", json={})
    text = httpx2.get(f"{opened.url}/metrics").text
    assert 'towpath_requests_total{app="local/echo",status="200"}' in text
    assert 'towpath_app_ready{app="echo"} 1.0' in text


@pytest.mark.parametrize("where", ["/local/nope", "/other/echo", "/local/nope/deep/path"])
def test_an_unknown_app_lists_the_known(opened: Server, where: str) -> None:
    answer = httpx2.post(opened.url + where, json={})
    assert answer.status_code == 404
    assert "local/echo" in answer.json()["detail"]
    assert answer.headers["x-fal-billable-units"] == "0"


@pytest.mark.parametrize(
    ("origin", "status", "allowed"),
    [
        ("http://localhost:3000", 200, "http://localhost:3000"),
        ("http://127.0.0.1:5173", 200, "http://127.0.0.1:5173"),
        ("https://evil.test", 403, None),
        ("null", 403, None),
        ("http://localhost.evil.test", 403, None),
    ],
)
def test_only_local_pages_may_call_a_server_without_keys(opened, origin, status, allowed) -> None:
    answer = httpx2.post(f"{opened.url}/local/echo", json={}, headers={"Origin": origin})
    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert "access-control-allow-credentials" not in answer.headers


def test_any_page_with_a_key_may_call_and_sees_the_id(locked: Server) -> None:
    headers = {"Origin": "https://page.test", "Authorization": "Key me:secret"}
    answer = httpx2.post(f"{locked.url}/local/echo", json={}, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-fal-request-id" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    preflight = httpx2.options(
        f"{locked.url}/local/echo",
        headers={
            "Origin": "https://page.test",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-fal-custom",
        },
    )
    assert preflight.status_code == 200


def test_forwarding_headers_and_host_are_not_believed(opened: Server, locked: Server) -> None:
    forwarded = {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}
    for server, headers in ((opened, forwarded), (locked, {**forwarded, "Host": "evil.test"})):
        page = httpx2.get(f"{server.url}/playground/local/echo", headers=headers)
        assert "evil.test" not in page.text
        assert server.url in page.text


@pytest.mark.parametrize(
    "where", ["/health/", "/playground/local/echo/", "/local/echo/", "/x/", "/"]
)
def test_no_answer_repeats_the_host(opened: Server, locked: Server, where: str) -> None:
    for server in (opened, locked):
        answer = httpx2.get(server.url + where, headers={"Host": "evil.test"})
        assert "evil.test" not in answer.text
        assert "evil.test" not in str(answer.headers)


def test_a_page_of_the_server_runs_and_loads_nothing_foreign(opened: Server) -> None:
    page = httpx2.get(f"{opened.url}/playground/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert re.findall(r'(?:src|href)="(?!\./|data:)', page.text) == []
