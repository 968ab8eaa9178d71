"""Who calls: what an app is told of it, and what it means for idempotency keys."""

from collections.abc import Iterator
from textwrap import dedent

import httpx2
import pytest
from tests.support.queued import result
from websockets.sync.client import connect

from towpath.testing import Server, serve

CODE = """
    import fastapi
    import towpath
    class Who(towpath.App):
        @towpath.endpoint("/")
        def run(self, text: str = "") -> dict:
            headers = towpath.current_request().headers
            return {n: v for n, v in headers.items() if n.startswith("x-")} | {"text": text}
        @towpath.endpoint("/other")
        def other(self, text: str = "") -> dict:
            return {"other": text}
        @towpath.endpoint("/ws", is_websocket=True)
        async def ws(self, websocket: fastapi.WebSocket) -> None:
            await websocket.accept()
            found = {n: v for n, v in websocket.headers.items() if n.startswith("x-")}
            await websocket.send_json(found)
            await websocket.close()
"""
SPOOFED = {
    "x-fal-caller-user-id": "admin",
    "x-fal-cdn-token": "stolen",
    "x-towpath-app": "other/app",
    "x-fal-endpoint": "other/app",
    "x_fal_caller_user_id": "admin",
    "x-fal-object-lifecycle": "{}",
    "x-my-trace": "1",
}
ME = {"Authorization": "Key me:secret"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("app") / "who.py"
    file.write_text(dedent(CODE))
    return str(file)


@pytest.fixture(scope="module")
def locked(app: str) -> Iterator[Server]:
    keys = "me:secret,me:renewed,you:other,a \u00e4:x"
    with serve(app, store_reserve=0, keys=keys) as server:
        yield server


@pytest.fixture(scope="module")
def opened(app: str) -> Iterator[Server]:
    with serve(app, store_reserve=0) as server:
        yield server


def seen(headers: dict[str, str]) -> dict[str, str | None]:
    """Return what a test looks at."""
    assert headers["x-towpath-app"] == "local/who"
    names = ("x-fal-caller-user-id", "x-fal-cdn-token", "x_fal_caller_user_id", "x-my-trace")
    return {name: headers.get(name) for name in (*names, "x-fal-object-lifecycle")}


def expected(caller: str | None) -> dict[str, str | None]:
    told = {"x-fal-caller-user-id": caller, "x-my-trace": "1", "x-fal-object-lifecycle": "{}"}
    return {"x-fal-cdn-token": None, "x_fal_caller_user_id": None, **told}


@pytest.mark.parametrize(
    ("key", "caller"),
    [
        ("Key me:secret", "me"),
        ("Bearer me:renewed", "me"),
        ("Key you:other", "you"),
        ("Key a \u00e4:x", "a %C3%A4"),
    ],
)
def test_an_app_is_told_who_calls_by_the_key_alone(locked: Server, key: str, caller: str) -> None:
    """The server says who calls, and nobody else: see trust T6."""
    headers = {**SPOOFED, "Authorization": key.encode("latin-1")}
    now = httpx2.post(f"{locked.url}/local/who", json={}, headers=headers)
    assert seen(now.json()) == expected(caller)
    given = httpx2.post(f"{locked.url}/queue/local/who", json={}, headers=headers).json()
    answer = None
    while answer is None or answer.status_code == 400:
        answer = httpx2.get(given["response_url"], headers=headers)
    assert seen(answer.json()) == expected(caller)


def test_a_websocket_is_told_the_same(locked: Server) -> None:
    where = f"ws{locked.url[4:]}/local/who/ws"
    with connect(where, additional_headers={**SPOOFED, **ME}) as socket:
        import json

        assert seen(json.loads(socket.recv())) == expected("me")


def test_without_keys_nobody_is_named(opened: Server) -> None:
    now = httpx2.post(f"{opened.url}/local/who", json={}, headers=SPOOFED)
    assert seen(now.json()) == expected(None)
    given = httpx2.post(f"{opened.url}/queue/local/who", json={}, headers=SPOOFED).json()
    assert seen(result(given).json()) == expected(None)


def submitted(server: Server, key: str, path: str = "who", text: str = "a") -> httpx2.Response:
    headers = {"Authorization": f"Key {key}", "Idempotency-Key": "order-1"}
    where = f"{server.url}/queue/local/{path}"
    return httpx2.post(where, json={"text": text}, headers=headers)


def test_idempotency_keys_are_the_callers_own(locked: Server) -> None:
    """Two callers with the same key never meet; a new secret is the same caller: see trust T5."""
    first = submitted(locked, "me:secret").json()["request_id"]
    assert submitted(locked, "me:secret").json()["request_id"] == first
    assert submitted(locked, "me:renewed").json()["request_id"] == first
    assert submitted(locked, "you:other").json()["request_id"] != first
    assert submitted(locked, "me:secret", "who/other").json()["request_id"] != first


def test_another_payload_under_the_same_key_is_422(locked: Server, opened: Server) -> None:
    """The sentence names the key and the fix: see trust T5."""
    for server in (locked, opened):
        first = submitted(server, "me:secret").json()["request_id"]
        answer = submitted(server, "me:secret", text="b")
        assert answer.status_code == 422
        detail = answer.json()["detail"]
        assert "'order-1'" in detail
        assert first in detail
        assert "new key" in detail
        assert submitted(server, "me:secret", "who?text=b").status_code == 422
