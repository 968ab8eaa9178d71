"""The CDN over a real socket."""

import asyncio
import base64
import email
import email.policy
import hashlib
import os
import threading
from collections.abc import Iterator

import httpx2
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.cdn.service import create_cdn
from towpath.storage.hosting import Hosting
from towpath.storage.records import StoredFile
from towpath.storage.staging import NewFile

DATA = os.urandom(3_000_000)


class Clock:
    offset = 0.0

    def __call__(self) -> float:
        import time

        return time.time() + self.offset


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cdn(hosting: Hosting, clock: Clock) -> Iterator[httpx2.Client]:
    hosting.store._clock = clock
    config = uvicorn.Config(
        create_cdn(hosting.store, clock), port=0, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    with httpx2.Client(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}") as client:
        yield client
    server.should_exit = True
    thread.join()


@pytest.fixture
def file(hosting: Hosting) -> StoredFile:
    return hosting.save(NewFile(DATA, "clip.mp4", "video/mp4"))[0]


SECRET = "/_towpath-0123456789abcdef"


@pytest.fixture
def fronted(hosting: Hosting, clock: Clock) -> httpx2.AsyncClient:
    app = create_cdn(hosting.store, clock, front_prefix=SECRET)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://a.test")


@pytest.mark.parametrize(
    ("headers", "is_front"),
    [
        ({}, False),
        ({"X-Accel-Prefix": "/a"}, False),
        ({"X-Accel-Prefix": "/_towpath"}, False),
        ({"X-Accel-Prefix": ""}, False),
        ({"X-Accel-Prefix": SECRET[:-1]}, False),
        ({"X-Accel-Prefix": "/\u00e4".encode()}, False),
        ({"X-Accel-Prefix": SECRET, "Range": "bytes=0-"}, False),
        ({"X-Accel-Redirect": SECRET}, False),
        ({"X-Sendfile": "1", "X-Sendfile-Type": "X-Accel-Redirect"}, False),
        ({"X-Forwarded-Host": "evil.test", "X-Original-URL": "/files/x"}, False),
        ({"X-HTTP-Method-Override": "HEAD"}, False),
        ({"X-Accel-Prefix": SECRET}, True),
    ],
)
def test_no_header_of_a_stranger_empties_a_public_answer(fronted, file, headers, is_front) -> None:
    """A cache would keep an empty file for everybody: see trust T7."""

    async def asked() -> httpx2.Response:
        return await fronted.get(f"/files/{file.id}/clip.mp4", headers=headers)

    answer = asyncio.run(asked())
    assert (answer.content == DATA) is not is_front
    assert ("x-accel-redirect" in answer.headers) is is_front
    if is_front:
        where = f"{SECRET}/{file.id[:2]}/{file.id}"
        assert answer.headers["x-accel-redirect"] == where
        kept_by_nobody = [answer.headers[n] for n in ("vary", "cdn-cache-control")]
        assert kept_by_nobody == ["*", "no-store"]


def test_without_a_front_no_header_counts(cdn: httpx2.Client, file: StoredFile) -> None:
    for prefix in ("/a", SECRET):
        answer = cdn.get(f"/files/{file.id}/clip.mp4", headers={"X-Accel-Prefix": prefix})
        assert answer.content == DATA


def test_a_file_is_served_exactly(cdn: httpx2.Client, file: StoredFile) -> None:
    answer = cdn.get(f"/files/{file.id}/clip.mp4")
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"


def test_the_name_in_the_url_is_ignored(cdn: httpx2.Client, file: StoredFile) -> None:
    for path in ("", "/", "/other.exe", "/a/b/c", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd"):
        assert cdn.get(f"/files/{file.id}{path}").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/files/x/y", "/files/", "/files/..%2f..%2findex.db/x", f"/files/{'a' * 32}/x", "/index.db"],
)
def test_nothing_else_is_served(cdn: httpx2.Client, path: str) -> None:
    answer = cdn.get(path)
    assert answer.status_code == 404
    assert "detail" in answer.json()


def test_head_says_what_get_would(cdn: httpx2.Client, file: StoredFile) -> None:
    head, get = cdn.head(f"/files/{file.id}/x"), cdn.get(f"/files/{file.id}/x")
    assert head.content == b""
    drop = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in drop} == {
        k: v for k, v in get.headers.items() if k not in drop
    }


def test_a_range_is_a_part(cdn: httpx2.Client, file: StoredFile) -> None:
    answer = cdn.get(f"/files/{file.id}/x", headers={"Range": "bytes=1000000-2999998"})
    assert answer.status_code == 206
    assert answer.content == DATA[1_000_000:2_999_999]
    assert answer.headers["content-range"] == f"bytes 1000000-2999998/{len(DATA)}"
    head = cdn.head(f"/files/{file.id}/x", headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"]) == (200, "3000000"), "RFC 9110, 14.2"


def parts_of(answer: httpx2.Response) -> list[tuple[str, bytes]]:
    """Read a multipart body with the standard library, as a client that is none of ours would."""
    head = b"content-type: " + answer.headers["content-type"].encode() + b"\r\n\r\n"
    message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    return [(part["content-range"], part.get_payload(decode=True)) for part in message.iter_parts()]


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 5)), min_size=2, max_size=7))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=30,
)
def test_several_ranges_are_the_parts_that_slicing_gives(
    cdn: httpx2.Client, hosting: Hosting, asked: list[tuple[int, int]]
) -> None:
    data = bytes(range(60))
    record = hosting.save(NewFile(data, "a.bin", "application/x-thing"))[0]
    header = ",".join(f"{first}-{first + more}" for first, more in asked)
    answer = cdn.get(f"/files/{record.id}/a.bin", headers={"Range": f"bytes={header}"})
    expected = [data[first : first + more + 1] for first, more in asked]
    if sum(map(len, expected)) > len(data):
        assert (answer.status_code, answer.content) == (200, data)
        return
    assert answer.status_code == 206
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert [content for _, content in parts_of(answer)] == expected
    first, more = asked[0]
    assert parts_of(answer)[0][0] == f"bytes {first}-{min(first + more, 59)}/60"


def test_a_part_of_several_has_the_type_of_the_file(cdn: httpx2.Client, file: StoredFile) -> None:
    answer = cdn.get(f"/files/{file.id}/x", headers={"Range": "bytes=0-9,2000000-2999999"})
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert answer.content.count(b"content-type: video/mp4\r\n") == 2
    assert [content for _, content in parts_of(answer)] == [DATA[:10], DATA[2_000_000:]]
    assert "content-range" not in answer.headers


def test_a_range_outside_is_416(cdn: httpx2.Client, file: StoredFile) -> None:
    answer = cdn.get(f"/files/{file.id}/x", headers={"Range": f"bytes={len(DATA)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"


def test_an_unchanged_file_is_304(cdn: httpx2.Client, file: StoredFile) -> None:
    etag = cdn.head(f"/files/{file.id}/x").headers["etag"]
    answer = cdn.get(f"/files/{file.id}/x", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag


def test_an_expired_file_is_410_and_caches_are_told(cdn, hosting: Hosting, clock: Clock) -> None:
    record, _ = hosting.save(NewFile(b"x", "a.txt", "text/plain", lifetime=60))
    alive = cdn.get(f"/files/{record.id}/a.txt")
    assert alive.status_code == 200
    assert alive.headers["x-expires-at"].endswith("+00:00")
    clock.offset = 61
    for _ in range(2):
        gone = cdn.get(f"/files/{record.id}/a.txt")
        assert gone.status_code == 410
        assert gone.headers["cache-control"] == "no-store"
        hosting.store.sweep_expired()


def test_other_origins_may_read(cdn: httpx2.Client, file: StoredFile) -> None:
    answer = cdn.get(f"/files/{file.id}/x", headers={"Origin": "https://page.test"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    options = cdn.options(
        f"/files/{file.id}/x", headers={"Access-Control-Request-Headers": "range"}
    )
    assert options.headers["access-control-allow-headers"] == "range"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(cdn: httpx2.Client, file: StoredFile, method: str) -> None:
    assert cdn.request(method, f"/files/{file.id}/x").status_code == 405


def test_an_empty_file_is_served(cdn: httpx2.Client, hosting: Hosting) -> None:
    record, _ = hosting.save(NewFile(b"", "a.txt", "text/plain"))
    answer = cdn.get(f"/files/{record.id}/a.txt")
    assert (answer.status_code, answer.content) == (200, b"")


async def asked(app, path: str, answers: list[int], gate: asyncio.Event) -> None:
    """GET *path* as a client that takes no byte of the body before *gate* opens."""
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}

    async def send(message: dict) -> None:
        if message["type"] == "http.response.start":
            answers.append(message["status"])
        elif message["body"]:
            await gate.wait()

    await app(scope, None, send)


def test_more_files_at_once_than_allowed_are_told_to_come_back(hosting, file) -> None:
    app = create_cdn(hosting.store, most_sent=2)
    path, answers = f"/files/{file.id}/x", list[int]()

    async def play() -> None:
        gate = asyncio.Event()
        slow = [asyncio.create_task(asked(app, path, answers, gate)) for _ in range(2)]
        while len(answers) < 2:
            await asyncio.sleep(0)
        opened = asyncio.Event()
        opened.set()
        await asked(app, path, answers, opened)
        gate.set()
        await asyncio.gather(*slow)
        await asked(app, path, answers, opened)

    asyncio.run(play())
    assert answers == [200, 200, 503, 200]
