"""A store is opened for the first time by many at once, or by one that is killed meanwhile."""

import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.stores import folder_store

from towpath import settings as settings_room
from towpath.errors import StoreUnusableError
from towpath.storage import hosting as hosting_room
from towpath.storage.catalog import Catalog, open_catalog
from towpath.storage.hosting import current_hosting, hosting_of
from towpath.storage.local import LocalStore
from towpath.storage.staging import NewFile

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["towpath.storage.file_store", "tests.support.stores"])
AT_ONCE = 6


def side_by_side(work) -> list:
    """Do the same in several threads that begin together; return what each says."""
    together = threading.Barrier(AT_ONCE, timeout=20)

    def begin(_: int) -> object:
        together.wait()
        return work()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(begin, range(AT_ONCE)))


def save_one(root: Path, together, said) -> None:
    together.wait(60)
    try:
        store = folder_store(root)
        said.put(store.save(NewFile(b"x", "a", "text/plain")).id)
        store.close()
    except BaseException as error:
        said.put(repr(error))


# --- the folder ---


def test_threads_that_open_a_new_store_at_once_find_no_other_version(tmp_path: Path) -> None:
    for turn in range(20):
        stores = side_by_side(lambda root=tmp_path / str(turn): LocalStore(root, reserve=0))
        assert len(stores) == AT_ONCE
        assert (tmp_path / str(turn) / "format").read_text() == "1\n"
        assert not list((tmp_path / str(turn) / "tmp").iterdir())


def test_processes_that_open_a_new_store_at_once_share_it(tmp_path: Path) -> None:
    for turn in range(4):
        root, said = tmp_path / str(turn), CONTEXT.SimpleQueue()
        together = CONTEXT.Barrier(AT_ONCE)
        processes = [
            CONTEXT.Process(target=save_one, args=(root, together, said)) for _ in range(AT_ONCE)
        ]
        for process in processes:
            process.start()
        ids = [said.get() for _ in processes]
        for process in processes:
            process.join()
        store = folder_store(root)
        assert [store.find(each).id for each in ids] == ids, "each is an id, and no error"
        assert store.totals()[0] == AT_ONCE
        store.close()
        assert not list(root.glob("*.broken*")), "no index was taken for a broken one"


def test_a_store_whose_making_was_killed_is_made(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "format").touch()
    store = folder_store(tmp_path / "store")
    record = store.save(NewFile(b"x", "a", "text/plain"))
    store.close()
    again = folder_store(tmp_path / "store")
    assert again.find(record.id) == record
    again.close()


def test_a_store_of_another_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    LocalStore(tmp_path, reserve=0)
    (tmp_path / "format").write_text("7\n")
    with pytest.raises(StoreUnusableError, match="its format is '7', this version's is '1'"):
        LocalStore(tmp_path, reserve=0)
    assert (tmp_path / "format").read_text() == "7\n"


# --- the index ---


def test_an_index_that_another_program_holds_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what SQLite calls corrupt is; locked, full or read-only is something else."""
    monkeypatch.setattr("towpath.database._BUSY_SECONDS", 0.05)
    path = tmp_path / "index.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnusableError, match=r"index\.db cannot be opened .*locked"):
        open_catalog(path)
    holder.close()
    assert not list(tmp_path.glob("*.broken"))
    open_catalog(path).close()


def test_an_index_whose_folder_is_no_folder_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusableError, match="cannot be opened"):
        open_catalog(tmp_path / "file" / "index.db")


def test_of_many_that_find_a_broken_index_one_makes_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"this is no database, it is a text that is long enough")
    catalogs: list[Catalog] = side_by_side(lambda: open_catalog(path))
    for catalog in catalogs:
        assert catalog.totals() == (0, 0)
        catalog.close()
    broken = tmp_path / "index.db.broken"
    assert broken.read_bytes().startswith(b"this is no database")


# --- the process ---


def test_threads_that_save_their_first_files_at_once_have_one_store(tmp_path: Path) -> None:
    hosting = hosting_of(settings_room.load(data_dir=tmp_path, store_reserve=0))
    stores = side_by_side(lambda: hosting.store)
    assert len({id(store) for store in stores}) == 1
    hosting.store.close()


def test_a_store_in_memory_is_one_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting_room._Process, "hosting", None)
    named = settings_room.load(store="memory://", public_url="http://x.test", store_reserve=0)
    with settings_room.using(named):

        def save() -> str:
            hosting = current_hosting()
            assert hosting is not None
            return hosting.save(NewFile(b"x", "a", "text/plain"))[0].id

        ids = side_by_side(save)
        hosting = current_hosting()
        assert hosting is not None
        assert [hosting.store.find(each).id for each in ids] == ids
        hosting.store.close()
