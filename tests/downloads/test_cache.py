"""What is evicted, in which order, and what never is."""

import os
import threading
import time
from pathlib import Path

import pytest
from tests.support.downloads import everything_in
from tests.support.origin import Origin

from towpath import settings as settings_room
from towpath.downloads.cache import cached, evict, remove, verified
from towpath.downloads.ledger import Ledger
from towpath.errors import DiskFullError
from towpath.toolkit import download_file, download_model_weights, prune

pytestmark = pytest.mark.usefixtures("settings")
KIB = 1024


def weights(origin: Origin, name: str, size: int = KIB) -> Path:
    return download_model_weights(origin.put(f"/{name}", name.encode() * size))


@pytest.fixture
def three(origin: Origin) -> list[Path]:
    return [weights(origin, name) for name in "abc"]


def test_the_least_recently_used_go_first(origin: Origin, three: list[Path]) -> None:
    weights(origin, "a")  # used again
    report = prune(max_bytes=2 * KIB)
    assert [path.name for path in report.removed] == ["b"]
    assert (report.freed_bytes, report.kept) == (KIB, 2)
    assert [entry.path.name for entry in cached()] == ["c", "a"]


def test_a_use_in_another_process_counts(origin: Origin, three: list[Path]) -> None:
    from tests.support.downloads import start

    data_dir = three[0].parents[3]
    start(origin.url("/a"), data_dir, weights=True).communicate()
    assert [path.name for path in prune(max_bytes=KIB).removed] == ["b", "c"]


def test_a_dry_run_only_says_it(three: list[Path]) -> None:
    report = prune(max_bytes=0, dry_run=True)
    assert [path.name for path in report.removed] == ["a", "b", "c"]
    assert all(path.exists() for path in three)


def test_what_is_old_goes_whatever_its_size(three: list[Path], data_dir: Path) -> None:
    entry = cached()[0]
    facts = Ledger(data_dir / ".towpath" / "downloads").facts_path(entry.key)
    os.utime(facts, (time.time() - 7200,) * 2)
    assert [path.name for path in prune(max_age=3600).removed] == [entry.path.name]


def test_without_limits_nothing_goes(three: list[Path]) -> None:
    assert prune().removed == ()
    assert len(cached()) == 3


def test_files_of_a_target_folder_are_never_touched(origin: Origin, three: list[Path]) -> None:
    path = download_file(origin.put("/mine", b"x" * KIB), "inputs")
    prune(max_bytes=0, max_age=0)
    assert path.exists()
    assert cached() == []


def test_what_was_evicted_is_fetched_again(origin: Origin, three: list[Path], data_dir) -> None:
    prune(max_bytes=0)
    assert everything_in(data_dir / ".towpath" / "model_weights") == []
    assert weights(origin, "a").read_bytes() == b"a" * KIB


def test_what_is_being_downloaded_stays(three: list[Path], data_dir: Path) -> None:
    entry = cached()[0]
    ledger = Ledger(data_dir / ".towpath" / "downloads")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger.lock(entry.key, lambda: 0):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert not remove(entry)
    assert entry.path not in prune(max_bytes=0).removed
    done.set()
    thread.join()
    assert entry.path.exists()


def test_leftovers_go(three: list[Path], data_dir: Path) -> None:
    part = three[0].parent / ".a.deadbeef.part"
    part.write_bytes(b"x" * KIB)
    trash = three[0].parents[1] / ".trash-x"
    trash.mkdir()
    prune()
    assert not part.exists()
    assert not trash.exists()


def test_the_setting_evicts_after_each_download(origin: Origin, data_dir: Path) -> None:
    own = settings_room.load(
        data_dir=data_dir, store_reserve=0, allow_hosts="127.0.0.1", cache_max_bytes=2 * KIB
    )
    with settings_room.using(own):
        for name in "abc":
            weights(origin, name)
        assert [entry.path.name for entry in cached()] == ["b", "c"]
        large = weights(origin, "d", 4 * KIB)
        assert large.exists()
        assert [entry.path.name for entry in cached()] == ["d"]


def test_a_full_disk_evicts_once_when_the_limit_is_set(
    origin: Origin, three: list[Path], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    real = shutil.disk_usage

    def small(path):
        used = sum(p.stat().st_size for p in (data_dir / ".towpath" / "model_weights").rglob("*"))
        return real(path)._replace(free=max(0, 20_000 - used))

    url = origin.put("/big", b"x" * 10_000)
    monkeypatch.setattr(shutil, "disk_usage", small)
    with pytest.raises(DiskFullError):
        download_model_weights(url)
    own = settings_room.load(
        data_dir=data_dir, store_reserve=0, allow_hosts="127.0.0.1", cache_max_bytes=12_000
    )
    with settings_room.using(own):
        assert download_model_weights(url).stat().st_size == 10_000


def test_one_entry_may_be_spared(three: list[Path]) -> None:
    key = next(entry.key for entry in cached() if entry.path.name == "a")
    assert [path.name for path in evict(0, spared=key).removed] == ["b", "c"]


def test_verify_finds_what_changed_on_disk(three: list[Path]) -> None:
    status = three[1].stat()
    three[1].write_bytes(b"B" * KIB)
    os.utime(three[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    found = {entry.path.name: verdict for entry, verdict in verified()}
    assert found == {"a": "good", "b": "damaged", "c": "good"}


@pytest.mark.parametrize("limits", [{"max_bytes": -1}, {"max_age": -1}])
def test_negative_limits_are_refused(limits) -> None:
    with pytest.raises(ValueError, match="negative"):
        prune(**limits)
