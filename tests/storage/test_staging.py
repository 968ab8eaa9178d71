"""Files on their way into the store: what others may win waits, what is written goes to the disk."""

import errno
import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.support.stores import folder_store

from towpath.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreFullError,
    StoreUnusableError,
)
from towpath.storage import local
from towpath.storage.disk import PIECE
from towpath.storage.file_store import FileStore
from towpath.storage.folder import FolderObjects
from towpath.storage.local import LocalStore
from towpath.storage.objects import Attributes
from towpath.storage.staging import NewFile


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = folder_store(tmp_path / "store")
    yield store
    store.close()


def sidecars(store: FileStore) -> list[Path]:
    return sorted((store.blobs.root / "m").rglob("*.json"))


def test_a_sidecar_waits_only_where_another_save_may_win(store: FileStore) -> None:
    for reserved in (None, store.hold()):
        new = NewFile(b"x", "a", "text/plain", reserved=reserved)
        staged = store.blobs.stage(new, partial(store._described, new))
        staged.record()
        assert len(sidecars(store)) == (reserved is None)
        assert store.blobs.record_of(staged.id) is None, "nobody sees it yet"
        staged.discard()
    assert sidecars(store) == []
    assert list((store.blobs.root / "tmp").iterdir()) == []


def test_of_two_saves_for_one_place_the_later_leaves_the_first_alone(store: FileStore) -> None:
    place = store.hold()
    held = store.blobs.is_held
    store.blobs.is_held = lambda _: True  # both looked before either was done
    first = store.save(NewFile(b"first", "first", "text/plain", reserved=place))
    with pytest.raises(ObjectNotFoundError):
        store.save(NewFile(b"later", "later", "text/html", reserved=place))
    store.blobs.is_held = held
    assert store.blobs.record_of(place) == first
    assert [path.stem for path in sidecars(store)] == [place]
    assert list((store.blobs.root / "tmp").iterdir()) == []


def test_a_key_that_exists_keeps_what_is_known_of_it(tmp_path: Path) -> None:
    objects = FolderObjects(LocalStore(tmp_path / "store", reserve=0))
    key = "a" * 32
    objects.put(key, b"first", Attributes(name="first"))
    with pytest.raises(ObjectExistsError):
        objects.put(key, b"later", Attributes(name="later"))
    assert objects.head(key).attributes.name == "first"
    assert b"".join(objects.get(key)) == b"first"


def test_what_comes_in_goes_to_the_disk_before_its_end(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, size, __: sent.append((start, size)))
    incoming = store.incoming()
    for _ in range(5):
        incoming.write(b"x" * (PIECE // 2))
    assert sent == [(0, PIECE), (PIECE, PIECE)]
    record = store.save(NewFile(incoming, "a", "text/plain"))
    incoming.close()
    with store.open(record) as stream:
        assert stream.seek(0, os.SEEK_END) == record.size == PIECE * 5 // 2


@pytest.mark.parametrize("kind", ["blob", "sidecar"])
@pytest.mark.parametrize("is_labelled", [True, False])
def test_a_save_that_fails_half_way_leaves_no_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, *, is_labelled: bool
) -> None:
    if not is_labelled:
        monkeypatch.setattr(local, "can_label", lambda _: False)
    store = folder_store(tmp_path / "store")
    real, real_write = os.fsync, Path.write_bytes

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if name.endswith(".json") == (kind == "sidecar") and len(name) > len("aa"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    def write_bytes(path: Path, data: bytes) -> int:
        if path.suffix == ".json" and kind == "sidecar":
            path.touch()
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(path, data)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(StoreFullError):
        store.save(NewFile(b"x", "a", "text/plain"))
    assert sidecars(store) == []
    assert [path for path in (store.blobs.root / "o").rglob("*") if path.is_file()] == []
    assert list((store.blobs.root / "tmp").iterdir()) == []
    assert store.totals() == (0, 0)
    store.close()


@pytest.mark.parametrize(("part", "is_reserved"), [("o", True), ("o", False), ("m", True)])
def test_a_folder_that_the_disk_does_not_take_is_an_error_and_leaves_nothing(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, part: str, *, is_reserved: bool
) -> None:
    store.lay_out()
    place = store.hold() if is_reserved else None
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent == store.blobs.root / part:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreUnusableError, match="Input/output"):
        store.save(NewFile(b"x", "a", "text/plain", reserved=place))
    blobs = [path for path in (store.blobs.root / "o").rglob("*") if path.is_file()]
    assert (blobs, sidecars(store), store.totals()) == ([], [], (0, 0))
    if place is not None:
        monkeypatch.setattr(os, "fsync", real)
        assert store.save(NewFile(b"x", "a", "text/plain", reserved=place)).id == place


def test_what_came_in_and_finds_no_room_leaves_nothing(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(store.incoming()) as incoming:
        incoming.write(b"x" * 100)  # still in memory
        monkeypatch.setattr(incoming, "_file", Full(incoming._file))
        with pytest.raises(StoreFullError):
            store.save(NewFile(incoming, "a", "text/plain"))
    assert list((store.blobs.root / "tmp").iterdir()) == []


class Full:
    """A file on a disk that takes no more."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self._file.close()
        self.flush()
