"""Labels of blobs: what a power cut or a careless copy leaves without a sidecar is made whole."""

import errno
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.stores import folder_store

from towpath.storage.file_store import FileStore
from towpath.storage.labels import can_label, label, read_label, relabel
from towpath.storage.records import StoredFile
from towpath.storage.staging import NewFile

RECORD = StoredFile("a" * 32, "a.png", "image/png", 7, "0" * 64, 1.5, 99, "local/me")


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    store = folder_store(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(b"content")
    return path


def lose_index(store: FileStore) -> FileStore:
    """Close a store, remove its index, open it again."""
    store.close()
    for path in store.blobs.root.glob("index.db*"):
        path.unlink()
    return folder_store(store.blobs.root)


def sidecar(store: FileStore, file_id: str) -> Path:
    return store.blobs.root / "m" / file_id[:2] / f"{file_id}.json"


@given(
    st.builds(
        StoredFile,
        id=st.just("a" * 32),
        name=st.text(max_size=100),
        content_type=st.text(max_size=60),
        size=st.integers(0, 2**53),
        sha256=st.sampled_from(["", "0" * 64]),
        created=st.floats(0, 2**40),
        expires=st.none() | st.integers(0, 2**40),
        owner=st.text(max_size=60),
        access=st.sampled_from(["public", "hide"]),
    )
)
def test_what_is_written_on_a_file_is_read_from_it(record: StoredFile) -> None:
    descriptor = os.open(".", os.O_TMPFILE | os.O_RDWR)
    try:
        assert label(descriptor, record)
        assert read_label(Path(f"/proc/self/fd/{descriptor}")) == record
    finally:
        os.close(descriptor)


def test_what_is_too_long_for_a_label_is_not_written(blob: Path) -> None:
    with blob.open("rb") as file:
        assert not label(file.fileno(), replace(RECORD, name="x" * 3000))
    assert read_label(blob) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"id": "a"}'])
def test_a_label_that_makes_no_sense_is_none(blob: Path, content: bytes) -> None:
    os.setxattr(blob, "user.towpath", content)
    assert read_label(blob) is None


def test_only_what_has_a_label_gets_another(blob: Path, tmp_path: Path) -> None:
    relabel(blob, RECORD)
    relabel(tmp_path / "gone", RECORD)
    assert read_label(blob) is None
    with blob.open("rb") as file:
        label(file.fileno(), RECORD)
    changed = replace(RECORD, expires=None)
    relabel(blob, changed)
    assert read_label(blob) == changed


def test_a_disk_that_takes_no_change_is_an_error(blob: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(OSError, match="Input/output"):
        relabel(blob, RECORD)


@pytest.mark.parametrize("lacks", ["the system", "the disk"])
def test_where_there_are_no_labels_nothing_breaks(blob: Path, monkeypatch, lacks: str) -> None:
    if lacks == "the system":
        monkeypatch.delattr(os, "setxattr")
        monkeypatch.delattr(os, "getxattr")
    else:

        def refuse(*_: object) -> bytes:
            raise OSError(errno.ENOTSUP, "Operation not supported")

        monkeypatch.setattr(os, "setxattr", refuse)
        monkeypatch.setattr(os, "getxattr", refuse)
    assert not can_label(blob.parent)
    assert read_label(blob) is None
    relabel(blob, RECORD)


@pytest.mark.parametrize("left", [None, b"", b'{"v": 1, "id', b"null", b'{"v": 1}'])
@pytest.mark.parametrize("kind", ["bytes", "path"])
def test_a_file_without_its_sidecar_is_whole(
    store: FileStore, tmp_path: Path, left: bytes | None, kind: str
) -> None:
    """What a power cut may leave of a sidecar that nobody waited for."""
    (tmp_path / "given").write_bytes(b"content")
    data = b"content" if kind == "bytes" else tmp_path / "given"
    record = store.save(NewFile(data, "a.txt", "text/plain", lifetime=900, owner="local/me"))
    path = sidecar(store, record.id)
    path.unlink() if left is None else path.write_bytes(left)
    again = lose_index(store)
    assert again.find(record.id) == record
    assert StoredFile.from_json(json.loads(path.read_bytes())) == record, "made again"
    again.close()


def test_a_sidecar_of_another_file_is_not_believed(store: FileStore) -> None:
    """A block of the disk that was written to before, by a save whose file is gone."""
    first, second = (store.save(NewFile(b"%d" % n, f"{n}", "text/plain")) for n in range(2))
    sidecar(store, first.id).write_bytes(sidecar(store, second.id).read_bytes())
    again = lose_index(store)
    again.recover()
    assert again.find(first.id) == first
    again.close()


def test_recovery_makes_every_lost_sidecar_again(store: FileStore) -> None:
    records = [store.save(NewFile(b"%d" % n, "a", "text/plain")) for n in range(5)]
    for record in records[:3]:
        sidecar(store, record.id).unlink()
    store.recover()  # the index still knows them
    assert all(sidecar(store, record.id).exists() for record in records)
    for path in (store.blobs.root / "m").rglob("*.json"):
        path.unlink()
    again = lose_index(store)
    again.recover()
    assert sorted(file.id for file in again.page().files) == sorted(r.id for r in records)
    assert {again.find(record.id) for record in records} == set(records)
    again.close()


def test_a_changed_life_is_on_the_label_too(store: FileStore) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain", lifetime=900))
    changed = store.set_life(record.id, 60)
    sidecar(store, record.id).unlink()
    again = lose_index(store)
    assert again.find(record.id) == changed
    again.close()


def test_a_blob_of_which_nothing_is_known_is_no_file_and_stays(store: FileStore) -> None:
    foreign = store.blobs.root / "o" / "aa" / ("a" * 32)
    foreign.parent.mkdir()
    foreign.write_bytes(b"somebody's")
    store.recover()
    assert store.totals() == (0, 0)
    assert store.blobs.record_of("a" * 32) is None
    assert foreign.read_bytes() == b"somebody's"


def test_what_is_given_away_twice_is_two_files(store: FileStore, tmp_path: Path) -> None:
    """A link shares its attributes with the file that it links, so it has none of ours."""
    given = tmp_path / "given"
    given.write_bytes(b"content")
    records = [
        store.save(NewFile(given, name, "text/plain", move=True)) for name in ("first", "second")
    ]
    records.append(
        store.save(NewFile(store.blobs.blob(records[0].id), "third", "text/plain", move=True))
    )
    assert read_label(given) is None
    again = lose_index(store)
    again.recover()
    assert [again.find(record.id) for record in records] == records
    again.close()


def test_a_copy_without_attributes_is_a_store(store: FileStore, tmp_path: Path) -> None:
    record = store.save(NewFile(b"content", "a", "text/plain"))
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(store.blobs.root), str(copy)], check=True)
    for path in copy.glob("index.db*"):
        path.unlink()
    assert read_label(copy / "o" / record.id[:2] / record.id) is None
    other = folder_store(copy)
    assert other.find(record.id) == record
    other.close()


def test_a_name_too_long_for_a_label_has_a_durable_sidecar(store: FileStore, monkeypatch) -> None:
    synced = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)

    monkeypatch.setattr(os, "fsync", fsync)
    record = store.save(NewFile(b"x", "x" * 3000, "text/plain"))
    assert ".json" in synced
    assert read_label(store.blobs.blob(record.id)) is None
    again = lose_index(store)
    assert again.find(record.id) == record
    again.close()
