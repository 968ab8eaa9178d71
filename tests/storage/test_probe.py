"""Stores that cannot be trusted with files are found out, over real sockets too."""

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.weed import KEYS

from towpath.errors import ObjectNotFoundError, StoreUnusableError
from towpath.storage import probe as room
from towpath.storage.memory import MemoryObjects
from towpath.storage.objects import Attributes
from towpath.storage.places import StorePlace
from towpath.storage.probe import check_usable, probe
from towpath.store_address import read_store_address

MEMORY = StorePlace(read_store_address("memory://"), Path("/nonexistent"))


class Replaces(MemoryObjects):
    def put(self, key, data, attributes, *, create=True):
        return super().put(key, data, attributes, create=False)


class AnswersWhole(MemoryObjects):
    def get(self, key, *, start=0, stop=None):
        return super().get(key)


class Changes(MemoryObjects):
    def get(self, key, *, start=0, stop=None):
        return iter([b"".join(super().get(key, start=start, stop=stop))[::-1]])


class Forgets(MemoryObjects):
    def put(self, key, data, attributes, *, create=True):
        return super().put(key, data, Attributes(), create=create)


class Hides(MemoryObjects):
    def list(self, prefix=""):
        return iter(())


class Keeps(MemoryObjects):
    def delete(self, keys):
        list(keys)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Replaces, "not replaced"),
        (AnswersWhole, "range"),
        (Changes, "read back"),
        (Forgets, "names and types"),
        (Hides, "lists"),
        (Keeps, "removed"),
    ],
)
def test_a_broken_promise_is_named(monkeypatch: pytest.MonkeyPatch, kind, promise: str) -> None:
    monkeypatch.setattr(room, "open_objects", lambda _place: kind())
    broken = [finding.promise for finding in probe(MEMORY) if finding.trouble is not None]
    assert any(promise in each for each in broken), broken
    with pytest.raises(StoreUnusableError, match=promise):
        check_usable(MEMORY)


def test_a_store_that_keeps_them_all_is_left_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = MemoryObjects()
    monkeypatch.setattr(room, "open_objects", lambda _place: objects)
    check_usable(MEMORY)
    assert list(objects.list()) == []


# --- over real sockets ---


class FakeS3(http.server.BaseHTTPRequestHandler):
    """A server that speaks S3 as carelessly as its flags say."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, tuple[bytes, dict[str, str]]]
    careless: set[str]

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        key = urlsplit(self.path).path
        if (
            "if-none-match" in self.headers
            and key in self.objects
            and "create" not in self.careless
        ):
            return self.answer(412)
        if self.headers.get("content-md5", "").startswith("AAAA") and "sums" not in self.careless:
            return self.answer(400, b"<Error><Code>BadDigest</Code></Error>")
        said = ("x-amz-meta-", "content-type", "cache-control", "content-disposition")
        kept = {n: v for n, v in self.headers.items() if n.lower().startswith(said)}
        self.objects[key] = (data, kept)
        return self.answer(200, headers={"ETag": '"1"'})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if "list-type=2" in parts.query:
            return self.answer(200, self.listing())
        if parts.path not in self.objects:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        data, kept = self.objects[parts.path]
        head = {**kept, "ETag": '"1"', "Last-Modified": "Mon, 23 Nov 2026 04:41:54 GMT"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if asked and "ranges" not in self.careless:
            first, last = int(asked[1]), int(asked[2])
            head["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self.answer(206, data[first : last + 1], head)
        return self.answer(200, data, head)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        bucket = urlsplit(self.path).path.rstrip("/")
        keys = re.findall(r"<Key>([^<]*)</Key>", body)
        for key in keys:
            self.objects.pop(f"{bucket}/{key}", None)
        done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self.answer(200, f"<DeleteResult>{done}</DeleteResult>".encode())

    def listing(self) -> bytes:
        """Return all keys as S3 lists them."""
        when = "<LastModified>2026-11-23T04:41:54.000Z</LastModified>"
        rows = "".join(
            f"<Contents><Key>{key.split('/', 2)[2]}</Key>{when}<ETag>1</ETag>"
            f"<Size>{len(data)}</Size></Contents>"
            for key, (data, _) in self.objects.items()
        )
        return f"<ListBucketResult>{rows}</ListBucketResult>".encode()

    def answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake(*careless: str) -> Iterator[StorePlace]:
    kind = type("Fake", (FakeS3,), {"objects": {}, "careless": set(careless)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"s3://b/p?endpoint=http://127.0.0.1:{server.server_port}&region=x"
        yield StorePlace(read_store_address(url), Path("/nonexistent"))
        server.shutdown()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def test_a_careful_server_is_usable() -> None:
    with fake() as place:
        assert [finding.trouble for finding in probe(place)] == [None] * 7


@pytest.mark.parametrize(
    ("careless", "promise"),
    [("ranges", "range"), ("create", "not replaced"), ("sums", "wrong checksum")],
)
def test_a_careless_server_is_refused(careless: str, promise: str) -> None:
    with fake(careless) as place, pytest.raises(StoreUnusableError, match=promise):
        check_usable(place)


def test_what_is_not_there_is_told_from_what_does_not_answer() -> None:
    with fake() as place:
        objects = room.open_objects(place)
        with pytest.raises(ObjectNotFoundError):
            objects.head("nothing")
