"""Trust T53: an index that is damaged in its middle opens, and every statement fails."""

import logging
import random
import sqlite3
from pathlib import Path

import pytest

from towpath.errors import StoreUnusableError
from towpath.storage import late_catalog
from towpath.storage.catalog import Catalog
from towpath.storage.file_store import FileStore
from towpath.storage.local import LocalStore
from towpath.storage.sound_catalog import SoundCatalog
from towpath.storage.staging import NewFile

PAGE = 4096
FIRST_ROWS = 8
"""The pages before are of the schema and the roots: damage there is seen when the file opens."""


def opened(root: Path) -> FileStore:
    return FileStore(LocalStore(root, reserve=0))


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Make a store of some files, whose index is damaged from the first rows on."""
    store = opened(tmp_path)
    found = [store.save(NewFile(b"%d" % n, f"{n}.txt", "text/plain")).id for n in range(300)]
    store.close()
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray((tmp_path / "index.db").read_bytes())
    data[FIRST_ROWS * PAGE :] = random.Random(1).randbytes(len(data) - FIRST_ROWS * PAGE)
    (tmp_path / "index.db").write_bytes(data)
    return found


def test_files_are_served_and_saved_with_a_damaged_index(
    tmp_path: Path, ids: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Trust T53: "database disk image is malformed", 500 for each read, after each restart."""
    store = opened(tmp_path)
    with caplog.at_level(logging.ERROR), store.open(store.find(ids[3])) as stream:
        assert stream.read() == b"3"
    saved = store.save(NewFile(b"new", "new.txt", "text/plain"))
    assert store.find(saved.id).name == "new.txt"
    with pytest.raises(StoreUnusableError, match="its file is damaged"):
        store.page()
    store.close()
    (line,) = [each for each in caplog.records if each.message == "the store's index is damaged"]
    assert (line.path, line.reason) == (
        str(tmp_path / "index.db"),
        "database disk image is malformed",
    )


def test_a_damaged_index_is_set_aside_and_filled_again(
    tmp_path: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_catalog, "_PAUSE_SECONDS", 0)
    store = opened(tmp_path)
    store.find(ids[0])
    store.recover()
    assert {file.id for file in store.page(limit=1000).files} == set(ids)
    assert (tmp_path / "index.db.broken").exists()
    store.close()
    again = opened(tmp_path)
    assert again.totals()[0] == len(ids)
    again.close()


def test_other_errors_of_the_database_go_on(tmp_path: Path) -> None:
    catalog = SoundCatalog(tmp_path / "index.db")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        catalog._do(lambda _: (_ for _ in ()).throw(sqlite3.OperationalError("locked")))
    catalog.close()


def test_it_does_all_that_an_index_does() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(SoundCatalog) == public(Catalog)
