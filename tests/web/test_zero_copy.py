"""Answers whose head and file leave together say what uvicorn's own answers say."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.support.stores import folder_store

from towpath.cdn.headers import lines_of
from towpath.cdn.service import create_cdn
from towpath.net.listening import listening
from towpath.storage.file_store import FileStore
from towpath.storage.staging import NewFile
from towpath.testing import Server, serve
from towpath.web.zero_copy import _pairs

DATA = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "echo.py"
    file.write_text(
        "import towpath\n"
        "class Echo(towpath.App):\n"
        "    @towpath.endpoint('/')\n"
        "    def run(self) -> int:\n"
        "        return 1\n"
    )
    with serve(str(file), store_reserve=0) as own:
        yield own


def saved(store: FileStore, data: bytes = DATA, **more) -> str:
    record = store.save(NewFile(data, "ä b.mp4", "video/mp4", **more))
    return f"/files/{record.id}/a.mp4"


async def plainly(store: FileStore, path: str, headers: dict[str, str]) -> tuple[int, dict, bytes]:
    """Ask the same of the CDN by itself, as any ASGI server does."""
    sent = []

    async def receive() -> dict:
        return {"type": "http.request"}

    async def send(message: dict) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": raw}
    await create_cdn(store)(scope, receive, send)
    said = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], said, b"".join(bytes(each.get("body", b"")) for each in sent[1:])


def seconds_in(age: str) -> int:
    return int(re.search(r"max-age=(\d+)", age)[1])


@pytest.mark.parametrize("size", [1, 1000, len(DATA)])
@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=0-0"}, {"Range": "bytes=0-1,3-4"}])
@pytest.mark.parametrize("lifetime", [None, 100])
def test_heads_and_bodies_are_the_same_either_way(
    server: Server, size: int, asked: dict[str, str], lifetime: int | None
) -> None:
    import asyncio

    store = server.running.store
    path = saved(store, DATA[:size], lifetime=lifetime)
    answer = httpx2.get(server.url + path, headers=asked)
    status, said, body = asyncio.run(plainly(store, path, asked))
    assert answer.status_code == status
    got = {n: v for n, v in answer.headers.items() if n not in {"date", "x-fal-request-id"}}
    if "boundary" in said["content-type"]:
        del got["content-type"], said["content-type"]
        assert len(answer.content) == len(body)
    else:
        assert answer.content == body
    ages = [headers.pop("cache-control") for headers in (got, said)]
    assert got == said
    assert abs(seconds_in(ages[0]) - seconds_in(ages[1])) <= 2, "the second may have changed"
    assert len(answer.headers["x-fal-request-id"]) == 36
    names = [name for name, _ in answer.headers.multi_items()]
    assert len(names) == len(set(names)), "each once"


def talk(server: Server, data: bytes) -> bytes:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(data)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_that_is_to_end_ends(server: Server, version: str) -> None:
    path = saved(server.running.store, b"content")
    close = "Connection: close\r\n" if version == "1.1" else ""
    answer = talk(server, f"GET {path} HTTP/{version}\r\nHost: localhost\r\n{close}\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.lower().count(b"connection: close") == 1
    assert body == b"content"


def test_answers_over_one_connection_are_in_order(server: Server) -> None:
    paths = [saved(server.running.store, str(n).encode() * (n * 1000 + 1)) for n in range(9)]
    asked = "".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths)
    health = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = talk(server, (asked + health).encode())
    for n in range(9):
        head, _, answer = answer.partition(b"\r\n\r\n")
        size = n * 1000 + 1
        assert f"content-length: {size}".encode() in head
        assert answer[:size] == str(n).encode() * size
        answer = answer[size:]
    assert b'"status":"ok"' in answer


def test_an_empty_file_has_a_head(server: Server) -> None:
    answer = httpx2.get(server.url + saved(server.running.store, b""))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "0"


def test_lines_are_pairs_again_where_a_server_needs_them() -> None:
    headers = {"a": "1", "content-disposition": 'attachment; filename="b: c"'}
    assert dict(_pairs(lines_of(headers))) == {
        name.encode(): value.encode() for name, value in headers.items()
    }


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\nb", "a\rb", "a\0b"])
def test_no_value_breaks_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        lines_of({"x": value})


def test_any_asgi_server_can_serve_files(tmp_path: Path) -> None:
    """One that has neither extension: uvicorn as it comes."""
    import asyncio
    import threading

    import uvicorn

    store = folder_store(tmp_path / "store")
    path = saved(store)
    with listening("127.0.0.1", 0) as sock:
        config = uvicorn.Config(create_cdn(store), log_level="error", lifespan="off")
        running = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([sock])))
        thread.start()
        answer = httpx2.get(f"http://127.0.0.1:{sock.getsockname()[1]}{path}")
        running.should_exit = True
        thread.join()
    assert answer.content == DATA
    store.close()
