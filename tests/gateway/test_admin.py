"""The operator's routes over real sockets, and who may use them."""

import socket
from collections.abc import Iterator

import httpx2
import pytest

from towpath.gateway.keys import is_private
from towpath.settings import load
from towpath.testing import Server, serve

TOKEN = "a-token-of-some-length"
NAMED_BY_PROXIES = (
    *("CDN-Loop", "X-Client-IP", "X-Cluster-Client-IP", "Fly-Client-IP", "Fastly-Client-IP"),
    *("True-Client-IP", "CF-Connecting-IP", "X-Original-Forwarded-For", "X-Forwarded"),
    *("X-Envoy-External-Address", "X_Forwarded_For", "X-Remote-IP", "X-ProxyUser-Client-IP"),
)
APP = """
import towpath
class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self, text: str = "") -> int:
        return len(text)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("app") / "echo.py"
    path.write_text(APP)
    return str(path)


@pytest.fixture(scope="module")
def server(file: str) -> Iterator[Server]:
    with serve(file, store_reserve=0) as own:
        yield own


@pytest.fixture(scope="module")
def guarded(file: str) -> Iterator[Server]:
    with serve(file, store_reserve=0, keys="id:secret", admin_token=TOKEN) as own:
        yield own


def uploaded(server: Server, data: bytes = b"hello", **headers: str) -> str:
    """Upload, and return the id."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx2.post(f"{server.url}/files/upload", content=data, headers=named)
    return answer.json()["access_url"].split("/files/")[1].split("/")[0]


def ask(server: Server, method: str, path: str, **more) -> httpx2.Response:
    return httpx2.request(method, f"{server.url}/admin/{path}", **more)


def test_files_are_listed_with_their_owners_and_lives(server: Server) -> None:
    ids = [uploaded(server, b"x" * number) for number in range(1, 6)]
    seen, cursor = [], None
    while True:
        asked = {"limit": 2, "owner": "local"} | ({"cursor": cursor} if cursor else {})
        page = ask(server, "GET", "files", params=asked).json()
        assert set(page) == {"items", "next_cursor"}
        assert len(page["items"]) <= 2
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [item["id"] for item in seen][-5:] == ids
    assert set(seen[-1]) == {
        *("id", "url", "content_type", "file_name", "file_size"),
        *("owner", "created_at", "expires_at"),
    }
    assert httpx2.get(seen[-1]["url"]).content == b"xxxxx"
    assert ask(server, "GET", "files?owner=nobody").json()["items"] == []


def test_usage_counts_files_and_bytes(server: Server) -> None:
    before = ask(server, "GET", "usage").json()["total"]
    uploaded(server, b"x" * 1000)
    after = ask(server, "GET", "usage").json()
    assert after["total"]["files"] == before["files"] + 1
    assert after["total"]["bytes"] == before["bytes"] + 1000
    assert after["items"][0]["owner"] == "local"


def test_a_life_is_changed_and_ended(server: Server) -> None:
    file_id = uploaded(server)
    url = f"{server.url}/files/{file_id}/a"
    longer = ask(server, "PATCH", f"files/{file_id}", json={"expires_in": "1h"})
    assert longer.status_code == 200
    assert httpx2.get(url).headers["x-expires-at"] == longer.json()["expires_at"]
    kept = ask(server, "PATCH", f"files/{file_id}", json={"expires_in": None})
    assert kept.json()["expires_at"] is None
    assert "x-expires-at" not in httpx2.get(url).headers
    assert ask(server, "DELETE", f"files/{file_id}").status_code == 204
    assert httpx2.get(url).status_code == 404
    assert ask(server, "DELETE", f"files/{file_id}").status_code == 404
    gone = ask(server, "PATCH", f"files/{file_id}", json={"expires_in": "1h"})
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "word"),
    [
        ("GET", "files?limit=0", {}, 400, "1 to 1000"),
        ("GET", "files?limit=1001", {}, 400, "1 to 1000"),
        ("GET", "files?limit=many", {}, 400, "no number"),
        ("GET", "files?limit=9999999999999999999999", {}, 400, "1 to 1000"),
        ("GET", "files?cursor=nonsense", {}, 400, "cursor"),
        ("PATCH", "files/x", {"json": {"expires_in": 5}}, 404, "no file"),
        ("PATCH", "files/" + "a" * 32, {"json": {"expires_in": 5}}, 404, "no file"),
        ("PATCH", "files/" + "a" * 32, {"json": {"expires_in": 0}}, 422, "at least 1"),
        ("PATCH", "files/" + "a" * 32, {"json": {"expires_in": 10**12}}, 422, "100 years"),
        ("PATCH", "files/" + "a" * 32, {"json": {"expires_in": "2h"}}, 422, "1h"),
        ("PATCH", "files/" + "a" * 32, {"json": {"expires_in": True}}, 422, "not a lifetime"),
        ("PATCH", "files/" + "a" * 32, {"json": {}}, 422, "expires_in"),
        ("PATCH", "files/" + "a" * 32, {"json": []}, 422, "expires_in"),
        ("PATCH", "files/" + "a" * 32, {"content": b"{"}, 422, "expires_in"),
        ("PATCH", "files/" + "a" * 32, {"content": b"[" * 60_000}, 422, "expires_in"),
        ("PATCH", "files/" + "a" * 32, {"content": b" " * 70_000}, 413, ""),
        ("POST", "files", {}, 405, ""),
        ("GET", "nothing", {}, 404, ""),
    ],
)
def test_what_makes_no_sense_is_told(
    server: Server, method: str, path: str, more: dict, status: int, word: str
) -> None:
    answer = ask(server, method, path, **more)
    assert (answer.status_code, word in answer.text) == (status, True), answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "towpath.example.org"},
        {"Host": "127.0.0.1.evil.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        *({name: "127.0.0.1"} for name in NAMED_BY_PROXIES),
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": ""},
    ],
)
def test_without_a_token_only_this_machine_is_answered(server: Server, headers: dict) -> None:
    file_id = uploaded(server)
    for method, path in (("GET", "files"), ("GET", "usage"), ("DELETE", f"files/{file_id}")):
        answer = ask(server, method, path, headers=headers)
        assert answer.status_code in ({400, 403} if headers == {"Host": ""} else {403})
    assert httpx2.get(f"{server.url}/files/{file_id}/a").status_code == 200


def test_without_a_token_a_proxy_that_asks_by_an_old_version_is_not_answered(
    server: Server,
) -> None:
    """trust T2: nginx before 1.29.7, with `proxy_pass` and nothing else; it names no stranger."""
    asked = "GET /admin/usage HTTP/1.{}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    host, port = server.url.removeprefix("http://").split(":")
    for version, status in ((1, b"200"), (0, b"403")):
        with socket.create_connection((host, int(port)), timeout=20) as sock:
            sock.sendall(asked.format(version).encode())
            assert sock.recv(100).split()[1] == status


@pytest.mark.parametrize(
    ("given", "is_open"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "localhost"}, True),
        ({"public_url": "http://localhost:9000"}, True),
        ({"keys": "a:b"}, False),
        ({"keys": "a:b", "public_url": "http://127.0.0.1:8000"}, False),
        ({"trusted_proxies": "127.0.0.1"}, False),
        ({"host_names": "towpath.example.org"}, False),
        ({"host_names": "*"}, False),
        ({"host_names": "a.localhost,localhost."}, True),
        ({"front_prefix": "/_0123456789abcdef"}, False),
        ({"public_url": "https://api.example.org"}, False),
        ({"public_url": "https://localhost.example.org"}, False),
        ({"cdn_url": "https://files.example.org"}, False),
        ({"host": "192.168.1.5", "no_auth": True}, False),
        ({"host": "0.0.0.0", "no_auth": True, "public_url": "http://127.0.0.1:8000"}, False),
    ],
)
def test_without_a_token_the_settings_say_whether_others_may_call(given, is_open: bool) -> None:
    """Nothing in a request shows that it is local: see trust T2."""
    assert is_private(load(**given)) is is_open


def test_a_token_opens_the_metrics_too(guarded: Server) -> None:
    for value, status in ((f"Bearer {TOKEN}", 200), ("Key id:secret", 200), ("Bearer x", 401)):
        answer = httpx2.get(f"{guarded.url}/metrics", headers={"Authorization": value})
        assert answer.status_code == status
    for path in ("/apps", "/metrics/"):
        answer = httpx2.get(f"{guarded.url}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 401, "the metrics and nothing else"


def test_a_page_of_this_machine_may_ask(server: Server) -> None:
    for headers in ({"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "same-origin"}):
        assert ask(server, "GET", "usage", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "value", [None, "Bearer wrong", f"Key {TOKEN}", TOKEN, "Key id:secret", "Bearer id:secret"]
)
def test_with_a_token_nothing_else_counts(guarded: Server, value: str | None) -> None:
    headers = {"Authorization": value} if value else {}
    assert ask(guarded, "GET", "files", headers=headers).status_code == 401


def test_the_token_opens_the_routes_and_nothing_else(guarded: Server) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(guarded, "GET", "files", headers=headers).status_code == 200
    via_proxy = headers | {"X-Forwarded-For": "203.0.113.9", "Host": "files.example.org"}
    assert ask(guarded, "GET", "usage", headers=via_proxy).status_code == 200
    run = httpx2.post(f"{guarded.url}/local/echo", json={"text": "x"}, headers=headers)
    assert run.status_code == 401


def test_runners_do_not_know_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from towpath.settings import load

    environment = load(admin_token=TOKEN, keys="id:secret").environment_of_runner()
    assert TOKEN not in str(environment)
