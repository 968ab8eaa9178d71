"""What a store of files promises wherever the bytes lie: folder, memory, S3."""

import io
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.weed import Weed, weed_with_its_keys

from towpath.errors import ObjectExpiredError, ObjectNotFoundError, StoreUnusableError
from towpath.storage.file_store import FileStore
from towpath.storage.memory import MemoryObjects
from towpath.storage.opening import open_store
from towpath.storage.places import StorePlace
from towpath.storage.remote import RemoteBlobs
from towpath.storage.staging import NewFile
from towpath.store_address import read_store_address

CLOUD = [pytest.mark.engines, pytest.mark.timeout(300)]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def opened(url: str, folder: Path, clock: Clock | None = None) -> FileStore:
    place = StorePlace(read_store_address(url), folder, reserve=0)
    return open_store(place, clock) if clock else open_store(place)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with weed_with_its_keys(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=CLOUD)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[FileStore]:
    if request.param == "folder":
        own = opened((tmp_path / "store").as_uri(), tmp_path / "store", clock)
    elif request.param == "memory":
        blobs = RemoteBlobs(MemoryObjects(), MemoryObjects(), tmp_path / "store", reserve=0)
        own = FileStore(blobs, clock=clock)
    else:
        s3: Weed = request.getfixturevalue("s3")
        own = opened(s3.store(os.urandom(8).hex()), tmp_path / "store", clock)
    with closing(own):
        yield own


def read(store: FileStore, file_id: str) -> bytes:
    with store.open(store.find(file_id)) as stream:
        return stream.read()


def reopened(store: FileStore) -> FileStore:
    """Return the store as another process sees it that has lost the index."""
    store.close()
    for path in store.blobs.root.glob("index.db*"):
        path.unlink()
    return FileStore(store.blobs, clock=store._clock)


@pytest.mark.parametrize("kind", ["bytes", "path", "move", "stream", "incoming"])
@pytest.mark.parametrize("size", [0, 1, 3_000_000, 9_000_000])
def test_what_is_saved_is_read_back(store: FileStore, tmp_path: Path, kind: str, size: int) -> None:
    data = os.urandom(size)
    source = tmp_path / "source.bin"
    source.write_bytes(data)
    given = {"bytes": data, "path": source, "stream": io.BytesIO(data), "move": source}.get(kind)
    if given is None:
        with closing(store.incoming()) as incoming:
            incoming.write(data)
            record = store.save(NewFile(incoming, "ä.bin", "application/x-thing", owner="me"))
    else:
        new = NewFile(given, "ä.bin", "application/x-thing", owner="me", move=kind == "move")
        record = store.save(new)
    assert read(store, record.id) == data
    assert store.find(record.id) == record
    assert (record.size, record.name, record.owner) == (size, "ä.bin", "me")
    assert list((store.blobs.root / "tmp").iterdir()) == []
    with closing(reopened(store)) as other:
        assert other.find(record.id) == record, "without the index it is found by itself"


def test_parts_are_read_without_the_rest(store: FileStore) -> None:
    data = os.urandom(2_500_000)
    record = store.save(NewFile(data, "a", "text/plain"))
    for start, stop in ((0, 0), (0, 1), (5, 1_500_000), (2_499_999, 2_500_000), (0, 2_500_000)):
        assert b"".join(store.pieces(record, start, stop)) == data[start:stop]


def test_a_life_ends_at_its_second(store: FileStore, clock: Clock) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain", lifetime=10))
    clock.now += 9.9
    assert read(store, record.id) == b"x"
    clock.now += 0.1
    with pytest.raises(ObjectExpiredError):
        store.find(record.id)
    with pytest.raises(ObjectExpiredError):
        store.set_life(record.id, 100)
    assert store.sweep_expired() == 1
    with pytest.raises(FileNotFoundError):
        store.blobs.open(record.id)
    with pytest.raises(ObjectExpiredError):
        store.find(record.id)


@pytest.mark.parametrize("lifetime", [None, 5, 5000])
def test_a_changed_life_outlives_the_index(
    store: FileStore, clock: Clock, lifetime: int | None
) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain", lifetime=100))
    changed = store.set_life(record.id, lifetime)
    assert changed.expires == (None if lifetime is None else int(clock.now) + lifetime)
    assert store.find(record.id) == changed
    with closing(reopened(store)) as other:
        assert other.find(record.id) == changed
    with closing(reopened(store)) as other:
        other.recover()
        assert other.page().files == [changed]


def test_what_is_removed_is_gone(store: FileStore) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain"))
    store.set_life(record.id, 100)
    store.remove(record.id)
    with pytest.raises(ObjectNotFoundError):
        store.find(record.id)
    with pytest.raises(ObjectNotFoundError):
        store.remove(record.id)
    with closing(reopened(store)) as other:
        other.recover()
        assert other.page().files == []


def test_a_lost_index_is_made_again(store: FileStore) -> None:
    records = {
        record.id: record
        for record in (
            store.save(NewFile(b"x" * number, f"{number}", "text/plain", owner=f"o{number % 3}"))
            for number in range(30)
        )
    }
    with closing(reopened(store)) as other:
        assert other.page().files == []
        other.recover()
        assert {file.id: file for file in other.page().files} == records
        assert sum(usage.files for usage in other.usage()) == 30


def test_rows_of_lost_files_are_forgotten(store: FileStore, clock: Clock) -> None:
    import time

    clock.now = time.time() - 7200
    kept, lost = (store.save(NewFile(b"x", "a", "text/plain")) for _ in range(2))
    store.blobs.delete([lost.id])
    clock.now = time.time()
    store.recover()
    assert [file.id for file in store.page().files] == [kept.id]


def test_a_reserved_place_is_filled_once(store: FileStore) -> None:
    file_id = store.hold()
    with pytest.raises(ObjectNotFoundError) as caught:
        store.find(file_id)
    assert caught.value.is_pending
    store.save(NewFile(b"later", "a", "text/plain", reserved=file_id))
    assert read(store, file_id) == b"later"
    with pytest.raises(ObjectNotFoundError):
        store.save(NewFile(b"again", "a", "text/plain", reserved=file_id))


def test_a_place_is_kept_when_its_file_could_not_be_stored(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = store.hold()

    def refuse(*_: object) -> None:
        raise StoreUnusableError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(store.blobs, "publish", refuse)
        with pytest.raises(StoreUnusableError):
            store.save(NewFile(b"x", "a", "text/plain", reserved=file_id))
    store.save(NewFile(b"later", "a", "text/plain", reserved=file_id))
    assert read(store, file_id) == b"later"


def test_what_is_not_there_is_not_found(store: FileStore) -> None:
    for file_id in ("a" * 32, "", "../../etc/passwd", "A" * 32):
        with pytest.raises(ObjectNotFoundError):
            store.find(file_id)
