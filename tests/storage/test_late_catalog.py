"""The index of a store whose disk is full (trust T53)."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from towpath.errors import StoreUnusableError
from towpath.storage import late_catalog
from towpath.storage.catalog import Catalog, open_catalog
from towpath.storage.file_store import FileStore
from towpath.storage.late_catalog import LateCatalog, open_index
from towpath.storage.local import LocalStore
from towpath.storage.staging import NewFile


def usage_of(**figures: int) -> SimpleNamespace:
    """Return what stands for `shutil`."""
    return SimpleNamespace(disk_usage=lambda _: SimpleNamespace(**figures))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk that has no room for an index until it is said."""
    state = SimpleNamespace(is_full=True)

    def opened(path: Path) -> Catalog:
        if state.is_full:
            reason = "The store's index cannot be opened (disk I/O error)."
            raise StoreUnusableError(reason)
        return open_catalog(path)

    monkeypatch.setattr(late_catalog, "open_catalog", opened)
    monkeypatch.setattr(late_catalog, "shutil", usage_of(free=0))
    monkeypatch.setattr(late_catalog, "_PAUSE_SECONDS", 0)
    return state


def test_files_are_read_without_the_index_and_found_again_once_it_opens(
    tmp_path: Path, disk: SimpleNamespace
) -> None:
    disk.is_full = False
    store = FileStore(LocalStore(tmp_path, reserve=0))
    saved = store.save(NewFile(b"content", "a.txt", "text/plain"))
    store.close()

    disk.is_full = True
    store = FileStore(LocalStore(tmp_path, reserve=0))
    with store.open(store.find(saved.id)) as stream:
        assert stream.read() == b"content"
    assert store.totals() == (0, 0)
    assert store.sweep_expired() == 0
    store.recover()
    with pytest.raises(StoreUnusableError, match="its disk is full"):
        store.usage()

    disk.is_full = False
    assert store.totals() == (1, 7)
    assert store.find(saved.id).name == "a.txt"
    store.close()


def test_an_index_that_fails_for_another_reason_is_an_error(
    tmp_path: Path, disk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_catalog, "shutil", usage_of(free=2**30))
    with pytest.raises(StoreUnusableError, match="disk I/O error"):
        open_index(tmp_path / "index.db")
    assert disk.is_full


def test_what_stands_for_the_index_does_all_that_an_index_does() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(LateCatalog) == public(Catalog)
