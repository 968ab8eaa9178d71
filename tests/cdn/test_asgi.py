"""The CDN and its uploads as ASGI apps: kinds of connections, bodies, lives, types."""

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from towpath.cdn.multipart import Multipart
from towpath.cdn.remote_body import RemoteBody
from towpath.cdn.service import create_cdn
from towpath.cdn.uploads import UPLOAD_PATH, UploadEndpoint
from towpath.clock import iso
from towpath.errors import RequestError, StoreUnusableError
from towpath.net.store_reader import StoreReader
from towpath.storage.hosting import Hosting

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def told(app: Any, scope: dict[str, Any], *received: dict[str, Any]) -> list[dict[str, Any]]:
    """Give messages to an app; return those that it sends."""
    coming, sent = list(received), []

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


# --- kinds of connections ---


@pytest.mark.parametrize("path", ["/files/" + "a" * 32 + "/a.png", "/anything"])
def test_a_websocket_is_closed(hosting: Hosting, path: str) -> None:
    sent = told(create_cdn(hosting.store), {"type": "websocket", "path": path, "headers": []})
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_what_was_opened_on_the_way_is_closed_when_the_server_ends(hosting: Hosting) -> None:
    closed = []

    class Reader(StoreReader):
        async def close(self) -> None:
            closed.append(True)

    app = create_cdn(hosting.store, reader=Reader())
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = told(app, {"type": "lifespan"}, *messages)
    assert [each["type"] for each in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert closed == [True]


def test_what_goes_wrong_before_the_answer_is_a_500_that_tells_nothing(
    hosting: Hosting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("the inner reason")

    monkeypatch.setattr(hosting.store, "find", broken)
    monkeypatch.setattr(hosting.store, "indexed", broken)
    scope = {"type": "http", "method": "GET", "path": f"/files/{'a' * 32}/a", "headers": []}
    scope |= {"query_string": b"", "http_version": "1.1", "raw_path": scope["path"].encode()}
    start, body = told(create_cdn(hosting.store), scope)
    assert start["status"] == 500
    assert body["body"] == b'{"detail":"Internal Server Error"}'
    assert "a file could not be served" in caplog.text


# --- bodies from elsewhere ---


def sent_body(body: RemoteBody) -> list[dict[str, Any]]:
    sent = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        await body.open()
        await body.send(send)

    asyncio.run(run())
    return sent


def read(start: int, stop: int) -> Iterator[bytes]:
    data = bytes(range(200))[start:stop]
    yield from (data[at : at + 10] for at in range(0, len(data), 10))


def test_one_part_has_nothing_around_it() -> None:
    sent = sent_body(RemoteBody(read, [(5, 42)]))
    assert b"".join(bytes(each["body"]) for each in sent) == bytes(range(5, 42))
    assert [each["more_body"] for each in sent] == [True] * (len(sent) - 1) + [False]


def test_several_parts_are_framed_and_end() -> None:
    frame = Multipart("edge", "image/png", [(0, 3), (50, 75)], 200)
    sent = sent_body(RemoteBody(read, frame.spans, frame))
    body = b"".join(bytes(each["body"]) for each in sent)
    assert body == (
        b"\r\n--edge\r\ncontent-type: image/png\r\ncontent-range: bytes 0-2/200\r\n\r\n\x00\x01\x02"
        b"\r\n--edge\r\ncontent-type: image/png\r\ncontent-range: bytes 50-74/200\r\n\r\n"
        + bytes(range(50, 75))
        + b"\r\n--edge--\r\n"
    )
    assert len(body) == frame.length
    assert [each["more_body"] for each in sent] == [True] * (len(sent) - 1) + [False]


@pytest.mark.parametrize("given", [0, 1, 36])
def test_a_part_that_is_shorter_than_it_was_to_be_is_an_error(given: int) -> None:
    def short(start: int, stop: int) -> Iterator[bytes]:
        return read(start, start + given)

    with pytest.raises(StoreUnusableError, match="cut off"):
        sent_body(RemoteBody(short, [(5, 42)]))


def test_pieces_beyond_the_part_are_not_asked_for() -> None:
    asked = []

    def endless(start: int, stop: int) -> Iterator[bytes]:
        for number in range(100):
            asked.append(number)
            yield bytes(10)

    sent_body(RemoteBody(endless, [(0, 30)]))
    assert asked == [0, 1, 2]


# --- uploads ---


@pytest.fixture
def upload(hosting: Hosting):
    """Send a body to the endpoint; return the answer and what is known of the file."""

    def send(content: bytes, *, life: int | None = None, **headers: str) -> tuple[Any, Any]:
        endpoint = UploadEndpoint(hosting.store, hosting, lifetime=life)
        app = Starlette(routes=[Route(UPLOAD_PATH, endpoint.__call__, methods=["POST"])])
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def run() -> httpx2.Response:
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://a") as client:
                return await client.post(UPLOAD_PATH, content=content, headers=named)

        answer = asyncio.run(run())
        url = answer.json()["access_url"]
        assert answer.headers["location"] == url
        record, file = hosting.open(hosting.id_in(url))
        with file:
            assert file.read() == content
        return answer, record

    return send


def test_the_type_of_a_nameless_upload_is_seen_by_its_first_bytes(upload) -> None:
    answer, record = upload(PNG)
    assert answer.status_code == 201
    assert record.content_type == "image/png"
    assert record.owner == "local/test"


def test_a_type_that_is_stated_wins_over_the_bytes(upload) -> None:
    assert upload(PNG, content_type="model/gltf-binary")[1].content_type == "model/gltf-binary"
    typed_by_curl = upload(PNG, content_type="application/x-www-form-urlencoded")[1]
    assert typed_by_curl.content_type == "image/png"


def test_a_body_of_several_pieces_is_stored_whole(upload) -> None:
    upload(PNG + bytes(range(256)) * 13_001)


@pytest.mark.parametrize("life", [None, 60])
def test_an_upload_without_a_life_has_that_of_the_server(upload, life: int | None) -> None:
    answer, record = upload(b"x", life=life)
    assert (answer.json()["expires_at"] is None) is (life is None)
    assert record.expires == (None if life is None else int(record.created) + life)


@pytest.mark.parametrize("header", ["x_fal_object_lifecycle_preference", "x_fal_object_lifecycle"])
def test_the_life_that_a_caller_asks_for_wins(upload, header: str) -> None:
    given = {header: '{"expiration_duration_seconds": 3600}'}
    answer, record = upload(b"x", life=60, **given)
    assert record.expires == int(record.created) + 3600
    assert answer.json()["expires_at"] == iso(record.expires)


def test_a_digest_that_fits_is_taken_and_another_is_not(upload) -> None:
    digest = base64.b64encode(hashlib.sha256(PNG).digest()).decode()
    upload(PNG, content_digest=f"sha-256=:{digest}:")
    upload(PNG, content_digest=f"SHA-256=:{digest}:")
    with pytest.raises(RequestError, match="nothing was kept"):
        upload(PNG + b"x", content_digest=f"sha-256=:{digest}:")


def test_a_life_that_is_none_is_said_with_the_header(upload) -> None:
    with pytest.raises(RequestError, match="lifecycle header 'soon' is malformed"):
        upload(b"x", x_fal_object_lifecycle="soon")
