"""Websockets that are refused, and requests to websockets: each gets a status and the reason."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from textwrap import dedent

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from towpath.testing import Server, serve

CODE = """
    import towpath
    from fastapi import WebSocket

    class Talking(towpath.App, max_websockets=1):
        @towpath.endpoint("/")
        def run(self) -> str:
            return "here"

        @towpath.endpoint("/ws", is_websocket=True)
        async def ws(self, caller: WebSocket) -> None:
            await caller.accept()
            async for text in caller.iter_text():
                await caller.send_text(text)

        @towpath.endpoint("/unwilling", is_websocket=True)
        async def unwilling(self, caller: WebSocket) -> None:
            await caller.close()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "talking.py"
    file.write_text(dedent(CODE))
    with serve(str(file), store_reserve=0, keys="me:secret") as own:
        yield own


def opened(server: Server, path: str, key: str = "me:secret"):
    headers = {"authorization": f"Key {key}"}
    return connect(f"ws{server.url[4:]}{path}", additional_headers=headers)


@pytest.mark.parametrize(
    ("path", "key", "status", "said"),
    [
        ("/local/made-up/ws", "me:secret", 404, "Apps served here: local/talking."),
        ("/local/talking/made-up", "me:secret", 404, "Endpoints of this app: /,"),
        ("/local/talking", "me:secret", 404, "Endpoints of this app: /,"),
        ("/local/talking/-/ended", "me:secret", 404, "Endpoints of this app: /,"),
        ("/local/talking/ws", "me:wrong", 401, "key"),
        ("/local/talking/unwilling", "me:secret", 403, "did not accept this websocket"),
    ],
)
def test_a_websocket_that_is_refused_is_told_why(server, path, key, status, said) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(server, path, key)
    answer = refused.value.response
    assert answer.status_code == status
    assert said in json.loads(answer.body)["detail"]
    assert answer.headers["x-fal-request-id"]


def test_a_websocket_too_many_is_told_the_limit(server: Server) -> None:
    with ExitStack() as stack:
        caller = stack.enter_context(opened(server, "/local/talking/ws"))
        caller.send("a")
        assert caller.recv(10) == "a"
        with (
            opened(server, "/local/talking/ws") as second,
            pytest.raises(ConnectionClosed) as refused,
        ):
            second.recv(10)
    assert refused.value.rcvd.code == 1013
    assert "1 websockets open, its limit" in refused.value.rcvd.reason
    assert "max_websockets" not in refused.value.rcvd.reason, "the author's affair"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_to_a_websocket_is_told_to_connect(server: Server, method: str) -> None:
    headers = {"authorization": "Key me:secret"}
    answer = httpx2.request(method, f"{server.url}/local/talking/ws", headers=headers)
    assert answer.status_code == 426
    assert "ws://" in answer.json()["detail"]


def test_a_refused_websocket_is_in_the_log_once(server, caplog) -> None:
    with caplog.at_level("INFO"), pytest.raises(InvalidStatus):
        opened(server, "/local/talking/made-up")
    said = [record.getMessage() for record in caplog.records if record.name != "httpx2"]
    assert "request finished" in said
    assert "ASGI callable returned without completing handshake." not in said
