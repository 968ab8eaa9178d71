"""What every ObjectStore promises, on a folder, in memory and on a real S3 server."""

import io
import os
import threading
from collections.abc import Iterator

import obstore
import pytest
from tests.support.weed import KEYS, Weed, weed_with_its_keys

from towpath.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    RangeError,
    StoreUnusableError,
)
from towpath.storage.cloud import CloudObjects, open_bucket
from towpath.storage.folder import FolderObjects
from towpath.storage.local import LocalStore
from towpath.storage.memory import MemoryObjects
from towpath.storage.objects import Attributes, ObjectStore, Signs
from towpath.store_address import read_store_address

MIB = 2**20
SOME = Attributes(
    content_type="image/png",
    name="ein Bild ü ∑.png",
    owner="upscale",
    created=1_700_000_000.25,
    expires=1_900_000_000,
    sha256="ab" * 32,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with weed_with_its_keys(tmp_path_factory.mktemp("weed")) as running:
        yield running


CLOUD = [pytest.mark.engines, pytest.mark.timeout(300)]


@pytest.fixture(params=["folder", "memory", pytest.param("cloud", marks=CLOUD)])
def objects(request: pytest.FixtureRequest, tmp_path) -> ObjectStore:
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "folder":
        return FolderObjects(LocalStore(tmp_path / "store", reserve=0))
    server = request.getfixturevalue("server")
    bucket = open_bucket(read_store_address(server.store(f"of/{os.urandom(8).hex()}")))
    return CloudObjects(bucket, "o")


def whole(objects: ObjectStore, key: str, **part: int) -> bytes:
    return b"".join(objects.get(key, **part))


@pytest.mark.parametrize("size", [0, 1, MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB])
@pytest.mark.parametrize("kind", ["bytes", "stream"])
def test_what_is_put_is_got(objects: ObjectStore, size: int, kind: str) -> None:
    data = os.urandom(size)
    put = objects.put("some-key.1", data if kind == "bytes" else io.BytesIO(data), SOME)
    assert (put.key, put.size) == ("some-key.1", size)
    assert whole(objects, "some-key.1") == data
    head = objects.head("some-key.1")
    assert (head.key, head.size, head.etag) == ("some-key.1", size, put.etag)


def test_attributes_are_kept_as_given(objects: ObjectStore) -> None:
    for number, attributes in enumerate(
        (
            SOME,
            Attributes(sha256="00" * 32),
            Attributes("text/html; charset=latin-1", "a%20b\n.html", sha256="00" * 32),
            Attributes("no type\r\nX-Evil: 1", "x" * 255, "o" * 63, access="hide", sha256="1" * 64),
        )
    ):
        objects.put(f"key{number}", b"content", attributes)
        kept = objects.head(f"key{number}").attributes
        assert kept is not None
        expected = {name: getattr(attributes, name) for name in Attributes.__dataclass_fields__}
        found = {name: getattr(kept, name) for name in expected}
        if isinstance(objects, FolderObjects):  # it reads the content, and knows
            del expected["sha256"], found["sha256"]
        assert found == expected


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, None), (5, None), (5, 7), (0, 10), (9, 10), (0, 0), (10, 10)]
)
def test_a_range_is_exactly_that(objects: ObjectStore, start: int, stop: int | None) -> None:
    objects.put("aa1", b"0123456789", SOME)
    assert whole(objects, "aa1", start=start, stop=stop) == b"0123456789"[start:stop]


@pytest.mark.parametrize(("start", "stop"), [(11, None), (0, 11), (5, 4), (-1, 3), (11, 12)])
def test_a_range_outside_is_refused(objects: ObjectStore, start: int, stop: int | None) -> None:
    objects.put("aa1", b"0123456789", SOME)
    with pytest.raises(RangeError) as caught:
        objects.get("aa1", start=start, stop=stop)
    assert caught.value.size == 10


def test_ranges_of_a_large_object(objects: ObjectStore) -> None:
    data = os.urandom(12 * MIB)
    objects.put("large", data, SOME)
    for start, stop in ((0, 100), (MIB - 1, MIB + 1), (3 * MIB, 9 * MIB), (12 * MIB - 1, None)):
        assert whole(objects, "large", start=start, stop=stop) == data[start:stop]


def test_create_never_replaces(objects: ObjectStore) -> None:
    for size in (3, 9 * MIB):
        first = os.urandom(size)
        objects.put(f"once{size}", first, SOME)
        with pytest.raises(ObjectExistsError) as caught:
            objects.put(f"once{size}", os.urandom(size), SOME)
        assert caught.value.key == f"once{size}"
        assert isinstance(caught.value, FileExistsError)
        assert whole(objects, f"once{size}") == first


def test_of_many_creators_one_wins(objects: ObjectStore) -> None:
    outcomes: list[bytes | None] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        data = bytes([number]) * 1000
        start.wait()
        try:
            objects.put("race", data, SOME)
        except ObjectExistsError:
            outcomes.append(None)
        else:
            outcomes.append(data)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [data for data in outcomes if data is not None]
    assert len(won) == 1
    assert whole(objects, "race") == won[0]


def test_without_create_the_last_one_stays(objects: ObjectStore) -> None:
    for data in (b"first", b"second, longer", b"3"):
        objects.put("again", data, SOME, create=False)
        assert whole(objects, "again") == data
        assert objects.head("again").size == len(data)


def test_a_reader_keeps_what_it_began(objects: ObjectStore) -> None:
    """Of one piece: what comes after the first request may be another version's on S3."""
    objects.put("read", b"a" * 1000, SOME)
    pieces = objects.get("read")
    assert b"".join(pieces) == b"a" * 1000


def test_lists_are_complete_and_by_prefix(objects: ObjectStore) -> None:
    keys = sorted({f"{number % 7:02x}key{number}" for number in range(60)})
    for key in keys:
        objects.put(key, key.encode(), SOME)
    listed = sorted(objects.list(), key=lambda info: info.key)
    assert [info.key for info in listed] == keys
    assert all(info.size == len(info.key) for info in listed)
    assert all(info.attributes is None for info in listed)
    for prefix in ("0", "03", "03k", "03key1", "zz"):
        found = sorted(info.key for info in objects.list(prefix))
        assert found == [key for key in keys if key.startswith(prefix)]


def test_what_is_deleted_is_gone(objects: ObjectStore) -> None:
    keys = [f"del{number}" for number in range(30)]
    for key in (*keys, "kept"):
        objects.put(key, b"x", SOME)
    objects.delete([*keys, "never-was"])
    objects.delete([])
    objects.delete(keys)
    assert [info.key for info in objects.list()] == ["kept"]
    objects.put(keys[0], b"again", SOME)
    assert whole(objects, keys[0]) == b"again"


@pytest.mark.parametrize("verb", ["get", "head"])
def test_what_is_not_there_is_one_error(objects: ObjectStore, verb: str) -> None:
    with pytest.raises(ObjectNotFoundError) as caught:
        getattr(objects, verb)("nothing")
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.key == "nothing"
    with pytest.raises(ObjectNotFoundError):
        objects.get("nothing", start=3)
    with pytest.raises(ObjectNotFoundError):
        objects.get("nothing", start=3, stop=7)


def test_a_put_that_breaks_leaves_nothing(objects: ObjectStore) -> None:
    class Broken(io.RawIOBase):
        left = 30

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            if not self.left:
                raise OSError(5, "the source broke")
            self.left -= 1
            return os.urandom(MIB if size < 0 else min(size, MIB))

    with pytest.raises((OSError, StoreUnusableError)):
        objects.put("broken", Broken(), SOME)  # type: ignore[arg-type]
    assert list(objects.list()) == []
    with pytest.raises(ObjectNotFoundError):
        objects.head("broken")


@pytest.mark.engines
@pytest.mark.timeout(300)
class TestOnS3:
    def test_a_signed_url_is_read_by_everybody_for_a_while(self, server: Weed) -> None:
        import time

        import httpx2

        objects = CloudObjects(open_bucket(read_store_address(server.store("signed"))), "o")
        assert isinstance(objects, Signs)
        objects.put("aa1", b"0123456789", SOME)
        url = objects.sign("aa1", 2)
        answer = httpx2.get(url, headers={"Range": "bytes=2-4"})
        assert (answer.status_code, answer.content) == (206, b"234")
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"] == "no-cache"
        time.sleep(3.5)
        assert httpx2.get(url).status_code == 403
        assert httpx2.get(url.partition("?")[0]).status_code == 403

    def test_active_content_is_harmless_there_too(self, server: Weed) -> None:
        import httpx2

        objects = CloudObjects(open_bucket(read_store_address(server.store("active"))), "o")
        objects.put("aa1", b"<script>1</script>", Attributes("text/html", "a.html"))
        answer = httpx2.get(objects.sign("aa1", 60))
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert objects.head("aa1").attributes == Attributes("text/html", "a.html")

    def test_two_prefixes_do_not_see_each_other(self, server: Weed) -> None:
        one, other = (
            CloudObjects(open_bucket(read_store_address(server.store(prefix))), "o")
            for prefix in ("one", "on")
        )
        one.put("aa1", b"1", SOME)
        assert list(other.list()) == []
        with pytest.raises(ObjectNotFoundError):
            other.head("aa1")

    def test_an_object_of_somebody_elses_has_few_attributes(self, server: Weed) -> None:
        obstore.put(server.client(), "theirs/o/aa/aa1", b"x")
        objects = CloudObjects(open_bucket(read_store_address(server.store("theirs"))), "o")
        kept = objects.head("aa1").attributes
        assert kept is not None
        assert (kept.name, kept.owner, kept.expires) == ("", "", None)

    def test_a_stranger_is_told_what_to_check(
        self, server: Weed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        objects = CloudObjects(open_bucket(read_store_address(server.store("x"))), "o")
        with pytest.raises(StoreUnusableError, match="AWS_ACCESS_KEY_ID") as caught:
            objects.put("aa1", b"1", SOME)
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("verb", ["put", "get", "head", "list", "delete"])
def test_a_store_that_is_not_there_is_one_error(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    address = read_store_address("s3://b/p?endpoint=http://127.0.0.1:9&region=x")
    objects = CloudObjects(open_bucket(address), "o")
    call = {
        "put": lambda: objects.put("aa1", b"1", SOME),
        "get": lambda: objects.get("aa1"),
        "head": lambda: objects.head("aa1"),
        "list": lambda: list(objects.list()),
        "delete": lambda: objects.delete(["aa1"]),
    }[verb]
    with pytest.raises(StoreUnusableError, match="towpath store check"):
        call()
