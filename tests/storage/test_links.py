"""Links to the object store itself: fresh enough for who gets them, over when their file is."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from towpath.storage import file_store
from towpath.storage.file_store import FileStore
from towpath.storage.memory import MemoryObjects
from towpath.storage.remote import RemoteBlobs
from towpath.storage.staging import NewFile


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Signing(MemoryObjects):
    """A store with URLs of its own."""

    signed = 0

    def sign(self, key: str, expires_in: int) -> str:
        self.signed += 1
        return f"http://store/{key}?seconds={expires_in}&number={self.signed}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock):
    blobs = RemoteBlobs(Signing(), MemoryObjects(), tmp_path / "store", reserve=0)
    with closing(FileStore(blobs, clock=clock)) as own:
        yield own


def test_a_link_is_given_to_all_for_the_first_minute_of_its_five(store, clock: Clock) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain"))
    first = store.link(record)
    assert "seconds=300" in first
    clock.now += 59.9
    assert store.link(record) == first, "good for four minutes more"
    clock.now += 0.2
    assert store.link(record) != first


def test_a_link_ends_with_its_file(store, clock: Clock) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain", lifetime=100))
    assert "seconds=100" in store.link(record)
    clock.now += 95
    assert "seconds=5" in store.link(record)
    clock.now += 4.9
    assert "seconds=1" in store.link(record), "the least there is"


def test_a_changed_life_has_links_of_its_own(store, clock: Clock) -> None:
    record = store.save(NewFile(b"x", "a", "text/plain"))
    first = store.link(record)
    shorter = replace(record, expires=int(clock.now) + 50)
    assert "seconds=50" in store.link(shorter)
    assert store.link(record) == first


def test_no_more_links_are_remembered_than_a_few_thousand(store, monkeypatch) -> None:
    monkeypatch.setattr(file_store, "_MOST_LINKS", 10)
    record = store.save(NewFile(b"x", "a", "text/plain"))
    for number in range(50):
        assert f"{number:032}" in store.link(replace(record, id=f"{number:032}"))
    assert len(store._links) <= 10


def test_a_store_without_urls_of_its_own_has_no_links(tmp_path: Path) -> None:
    blobs = RemoteBlobs(MemoryObjects(), MemoryObjects(), tmp_path / "store", reserve=0)
    with closing(FileStore(blobs)) as own:
        assert own.link(own.save(NewFile(b"x", "a", "text/plain"))) is None
