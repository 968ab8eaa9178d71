import errno
import io
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.stores import folder_store

from towpath.errors import (
    ObjectExpiredError,
    ObjectNotFoundError,
    StoreFullError,
    StoreUnusableError,
)
from towpath.storage import local
from towpath.storage.file_store import FileStore, new_file_id
from towpath.storage.records import ID_PATTERN
from towpath.storage.staging import NewFile


class FakeClock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock):
    own = folder_store(tmp_path / "store", clock=clock)
    yield own
    own.close()


def read(store: FileStore, file_id: str) -> bytes:
    with store.open(store.find(file_id)) as stream:
        return stream.read()


@pytest.mark.parametrize("kind", ["bytes", "path", "stream", "move"])
def test_what_is_saved_is_read_back(store: FileStore, tmp_path: Path, kind: str) -> None:
    data = os.urandom(3_000_000)
    source = tmp_path / "source.bin"
    source.write_bytes(data)
    given = {"bytes": data, "path": source, "stream": io.BytesIO(data), "move": source}[kind]
    record = store.save(NewFile(given, "a.bin", "application/x-thing", move=kind == "move"))
    assert read(store, record.id) == data
    assert (record.size, record.content_type) == (len(data), "application/x-thing")
    assert record == store.find(record.id)


def test_every_upload_has_its_own_id(store: FileStore) -> None:
    ids = {store.save(NewFile(b"same", "a", "text/plain")).id for _ in range(20)}
    assert len(ids) == 20
    assert all(ID_PATTERN.fullmatch(file_id) for file_id in ids)


def test_a_link_that_is_given_away_is_followed(store: FileStore, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"content")
    link.symlink_to(real)
    record = store.save(NewFile(link, "a", "text/plain", move=True))
    blob = store.blobs.blob(record.id)
    assert not blob.is_symlink()
    real.unlink()
    assert read(store, record.id) == b"content"


def test_ids_share_no_prefix() -> None:
    assert len({new_file_id()[:6] for _ in range(1000)}) > 990


def test_a_file_is_gone_from_the_second_it_expires(store: FileStore, clock: FakeClock) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain", lifetime=60))
    assert record.expires == int(clock.now) + 60
    clock.now = record.expires - 0.001
    assert read(store, record.id) == b"x"
    clock.now = record.expires
    with pytest.raises(ObjectExpiredError):
        store.find(record.id)


def test_the_sweep_removes_the_bytes_and_the_answer_stays_expired(
    store: FileStore, clock: FakeClock
) -> None:
    gone = store.save(NewFile(b"x", "a", "text/plain", lifetime=60))
    kept = store.save(NewFile(b"y", "b", "text/plain"))
    clock.now += 61
    assert store.sweep_expired() == 1
    assert not store.blobs.blob(gone.id).exists()
    assert store.totals() == (1, 1)
    with pytest.raises(ObjectExpiredError):
        store.find(gone.id)
    assert read(store, kept.id) == b"y"


@pytest.mark.parametrize(
    "file_id", ["x", "../../etc/passwd", "a" * 32, "A" * 32, "", "a" * 31 + "\n"]
)
def test_an_unknown_id_is_not_found(store: FileStore, file_id: str) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.find(file_id)


def test_a_lost_index_is_rebuilt_from_the_sidecars(store: FileStore, tmp_path: Path, clock) -> None:
    records = [store.save(NewFile(b"x%d" % n, "a", "text/plain")) for n in range(5)]
    store.close()
    for path in (tmp_path / "store").glob("index.db*"):
        path.unlink()
    again = folder_store(tmp_path / "store", clock=clock)
    assert read(again, records[0].id) == b"x0"
    again.recover()
    assert again.totals()[0] == 5
    again.close()


def test_a_broken_index_is_set_aside(store: FileStore, tmp_path: Path, clock) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain"))
    store.close()
    for path in (tmp_path / "store").glob("index.db*"):
        path.write_bytes(b"this is no database, it is a text that is long enough")
    again = folder_store(tmp_path / "store", clock=clock)
    assert read(again, record.id) == b"x"
    again.close()


def test_what_killed_saves_left_is_swept(store: FileStore, tmp_path: Path) -> None:
    dead = tmp_path / "store" / "tmp" / "999999999-abc"
    dead.write_bytes(b"half")
    mine = tmp_path / "store" / "tmp" / f"{os.getpid()}-abc"
    mine.write_bytes(b"at work")
    sidecar = tmp_path / "store" / "m" / "aa" / f"{'a' * 32}.json"
    sidecar.parent.mkdir()
    sidecar.write_text("{}")
    os.utime(sidecar, (1, 1))
    assert store.recover() == 2
    assert mine.exists()
    assert not dead.exists()
    assert not sidecar.exists()


def test_a_save_that_would_use_up_the_reserve_is_refused(tmp_path: Path) -> None:
    store = folder_store(tmp_path / "store", reserve=2**60)
    with pytest.raises(StoreFullError, match="TOWPATH_STORE_RESERVE"):
        store.save(NewFile(b"x", "a", "text/plain"))
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
    store.close()


def test_a_power_cut_costs_rows_of_the_index_and_no_file(store: FileStore, tmp_path: Path) -> None:
    """Trust section 4: the index is derived from the files, so its commits wait for no disk."""
    record = store.save(NewFile(b"x", "a", "text/plain"))
    with store._catalog._inner._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1, "NORMAL"
    unsynced = shutil.ignore_patterns("*-wal", "*-shm")  # what no commit of the index syncs
    shutil.copytree(tmp_path / "store", tmp_path / "cut", ignore=unsynced)
    with sqlite3.connect(tmp_path / "cut" / "index.db") as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        rows = database.execute("SELECT count(*) FROM files").fetchone() if tables[0] else (0,)
    database.close()
    assert rows == (0,), "the row is in what was not synced"
    again = folder_store(tmp_path / "cut")
    again.recover()
    assert [each.id for each in again.page(owner=None, limit=9).files] == [record.id]
    again.close()


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a store asks of the system, in its order."""
    calls: list[str] = []

    def part(path: str | Path) -> str:
        shard = re.sub("/[a-z2-7]{2}(?=/|$)", "/..", str(path).removeprefix(f"{tmp_path}/store/"))
        return re.sub("tmp/.*(?=json)|tmp/.*|/[a-z2-7]{32}.*", "", shard)

    def told(name: str, word: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*arguments: object) -> None:
            real(*arguments)
            calls.append(word(*arguments))

        monkeypatch.setattr(os, name, call)

    told("fsync", lambda descriptor: f"sync {part(Path(f'/proc/self/fd/{descriptor}').readlink())}")
    told("replace", lambda _, target: f"rename {part(target)}")
    told("setxattr", lambda *_: "label")
    return calls


@pytest.mark.parametrize("is_laid_out", [True, False])
@pytest.mark.parametrize("is_labelled", [True, False])
def test_a_stored_file_is_synced_before_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls, *, is_laid_out: bool, is_labelled: bool
) -> None:
    """The order of the system calls: what lies under a name is durable, and then the name is."""
    monkeypatch.setattr(local, "can_label", lambda _: is_labelled)
    store = folder_store(tmp_path / "store")
    if is_laid_out:
        store.lay_out()
    calls.clear()
    store.save(NewFile(b"x", "a", "text/plain"))
    above = [] if is_laid_out else ["sync o"]
    above_sidecar = [] if is_laid_out else ["sync m"]
    if is_labelled:
        assert calls == ["label", "sync ", "rename o/..", "sync o/..", *above]
    else:
        sidecar = ["sync json", "rename m/..", "sync m/..", *above_sidecar]
        assert calls == ["sync ", *sidecar, "rename o/..", "sync o/..", *above]
    store.close()


@pytest.mark.parametrize("kind", ["bytes", "path", "stream", "move"])
def test_a_save_that_the_disk_refuses_is_an_error_and_leaves_nothing(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"x" * 100_000)
    given = {"bytes": b"x", "path": source, "stream": io.BytesIO(b"x"), "move": source}[kind]

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreUnusableError, match="Input/output"):
        store.save(NewFile(given, "a", "text/plain", move=kind == "move"))
    assert [path for path in (tmp_path / "store").glob("[omt]*/**/*") if path.is_file()] == []
    assert store.totals() == (0, 0)
    assert source.exists()


def test_files_are_listed_by_owner_page_by_page(store: FileStore, clock: FakeClock) -> None:
    for number in range(7):
        clock.now += 1
        store.save(NewFile(b"x", f"{number}", "text/plain", owner="ab"[number % 2]))
    first = store.page(owner="a", limit=3)
    assert [file.name for file in first.files] == ["0", "2", "4"]
    second = store.page(owner="a", limit=3, cursor=first.cursor)
    assert ([file.name for file in second.files], second.cursor) == (["6"], None)
    assert len(store.page().files) == 7
    for cursor, limit in (("nonsense", 5), (None, 0), (None, 1001)):
        with pytest.raises(ValueError, match=r"cursor|limit"):
            store.page(cursor=cursor, limit=limit)


def test_a_page_has_a_hundred_files_unless_more_are_asked_for(store: FileStore) -> None:
    for number in range(101):
        store.save(NewFile(b"x", f"{number}", "text/plain"))
    assert len(store.page().files) == 100
    assert len(store.page(limit=1000).files) == 101


def test_files_made_at_the_same_moment_are_all_listed(store: FileStore) -> None:
    ids = {store.save(NewFile(b"x", "a", "text/plain")).id for _ in range(10)}
    seen, cursor = list[str](), None
    while True:
        page = store.page(limit=3, cursor=cursor)
        seen += [file.id for file in page.files]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)


def test_usage_is_by_owner_and_without_what_expired(store: FileStore, clock: FakeClock) -> None:
    store.save(NewFile(b"xxx", "a", "text/plain", owner="a"))
    store.save(NewFile(b"x", "b", "text/plain", owner="b"))
    store.save(NewFile(bytes(99), "c", "text/plain", owner="b", lifetime=5))
    clock.now += 6
    assert [(each.owner, each.files, each.size) for each in store.usage()] == [
        ("a", 1, 3),
        ("b", 1, 1),
    ]
    assert [file.name for file in store.page(expired=True).files] == ["c"]
    assert [file.name for file in store.page(owner="b").files] == ["b"]


def test_a_life_is_made_longer_shorter_or_endless_while_it_lasts(
    store: FileStore, clock: FakeClock, tmp_path: Path
) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain", lifetime=10))
    assert store.set_life(record.id, 100).expires == int(clock.now) + 100
    clock.now += 50
    assert read(store, record.id) == b"x"
    assert store.set_life(record.id, None).expires is None
    assert store.set_life(record.id, 1).expires == int(clock.now) + 1
    again = folder_store(tmp_path / "store", clock=clock)
    assert again.blobs.record_of(record.id).expires == int(clock.now) + 1, "for a rebuild"
    again.close()
    clock.now += 1
    for lifetime in (100, None):
        with pytest.raises(ObjectExpiredError):
            store.set_life(record.id, lifetime)


def test_a_removed_file_is_not_found(store: FileStore) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain"))
    store.remove(record.id)
    for call in (store.find, store.remove):
        with pytest.raises(ObjectNotFoundError):
            call(record.id)
    assert store.totals() == (0, 0)
    with pytest.raises(ObjectNotFoundError):
        store.remove("../../etc/passwd")


def test_rows_without_their_bytes_are_forgotten(store: FileStore, clock: FakeClock) -> None:
    lost = store.save(NewFile(b"x", "a", "text/plain"))
    kept = store.save(NewFile(b"y", "b", "text/plain"))
    store.blobs.delete([lost.id])
    assert store.recover() == 1
    assert [file.id for file in store.page().files] == [kept.id]


@pytest.mark.parametrize(("is_durable", "folders"), [(True, 1024), (False, 0)])
def test_the_folders_are_made_before_they_are_needed(
    tmp_path: Path, is_durable: bool, folders: int
) -> None:
    store = folder_store(tmp_path / "store", is_durable=is_durable)
    store.lay_out()
    parts = [tmp_path / "store" / part for part in "om"]
    assert [len(list(part.iterdir())) for part in parts] == [folders] * 2
    record = store.save(NewFile(b"x", "a", "text/plain"))
    store.recover()
    assert read(store, record.id) == b"x"
    store.close()


def test_a_disk_that_takes_no_folder_is_no_error(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    store.lay_out()
    assert read(store, record.id) == b"x"


def test_without_power_durability_a_save_syncs_nothing(tmp_path: Path, monkeypatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise AssertionError

    store = folder_store(tmp_path / "store", is_durable=False)
    monkeypatch.setattr(os, "fsync", refuse)
    (tmp_path / "source").write_bytes(b"x")
    for data in (b"x", tmp_path / "source", io.BytesIO(b"x")):
        record = store.save(NewFile(data, "a", "text/plain"))
        assert read(store, record.id) == b"x"
    store.set_life(record.id, 5)
    store.close()


def test_one_process_sweeps_and_another_takes_over(store: FileStore, tmp_path: Path) -> None:
    other = folder_store(tmp_path / "store")
    assert [store.elect(), store.elect(), other.elect()] == [True, True, False]
    store.close()
    assert other.elect()
    other.close()


def test_ten_thousand_reads_find_nothing_after_the_second(tmp_path: Path) -> None:
    """Each at another moment around the end of a life, by a clock that only this test moves."""
    dice, clock = random.Random(3), FakeClock()
    store = folder_store(tmp_path / "store", is_durable=False, clock=clock)
    start, wrong = clock.now, 0
    records = [store.save(NewFile(b"x", "a", "text/plain", lifetime=10)) for _ in range(10)]
    for _ in range(1000):
        clock.now = start + 10 + dice.uniform(-0.01, 0.01)
        for record in records:
            try:
                store.find(record.id)
            except ObjectExpiredError:
                wrong += clock.now < record.expires
            else:
                wrong += clock.now >= record.expires
    assert wrong == 0
    store.close()
