"""A queue whose file cannot be opened: the reason is told, and it is opened once it can be."""

import logging
from pathlib import Path

import pytest

from towpath.clock import steady_clock
from towpath.database import open_sqlite
from towpath.errors import QueueUnavailableError
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest


def request(number: int) -> NewRequest:
    return NewRequest(f"id-{number}", "local/a", "/", (), b"{}")


class Ticking:
    """A clock that moves a minute with each look."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 60
        return self.now


def damaged(folder: Path, kind: str) -> Path:
    """Make a queue's file that cannot be used."""
    file = folder / "queue.db"
    if kind == "no database":
        file.write_bytes(b"this is no database at all, " * 50)
    else:
        engine = open_sqlite(file)
        with engine.connect() as connection:
            connection.exec_driver_sql("create table requests (a)")
            connection.exec_driver_sql("create table other (a)")
        engine.dispose()
        whole = bytearray(file.read_bytes())
        whole[100:4000] = b"\xff" * 3900
        file.write_bytes(whole)
    return file


@pytest.mark.parametrize("kind", ["no database", "malformed"])
def test_a_broken_file_is_kept_and_told_with_its_path_and_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """trust T53"""
    file = damaged(tmp_path, kind)
    before = file.read_bytes()
    with caplog.at_level(logging.ERROR):
        queue = open_queue(f"sqlite:///{file}", Ticking(), max_length=10)
    [said] = caplog.records
    assert said.path == str(file)
    assert "database" in said.reason
    assert "move the file away" in said.advice
    for use in (
        lambda: queue.submit(request(1)),
        lambda: queue.read("id-1"),
        lambda: queue.claim(["local/a"], worker="me", now=0),
        queue.waiting,
        queue.records.page,
    ):
        with pytest.raises(QueueUnavailableError) as refused:
            use()
        assert str(file) not in refused.value.told, "callers are told nothing of ours"
    queue.close()
    assert file.read_bytes() == before


def test_it_is_opened_as_soon_as_it_can_be(tmp_path: Path) -> None:
    file = damaged(tmp_path, "no database")
    queue = open_queue(f"sqlite:///{file}", Ticking(), max_length=10)
    with pytest.raises(QueueUnavailableError):
        queue.submit(request(1))
    file.unlink()
    assert queue.submit(request(1)).request_id == "id-1"
    assert queue.waiting() == {"local/a": 1}
    queue.close()


def test_a_sound_file_is_opened_at_once(tmp_path: Path) -> None:
    queue = open_queue(f"sqlite:///{tmp_path}/queue.db", steady_clock(), max_length=10)
    queue.submit(request(1))
    queue.close()
    again = open_queue(f"sqlite:///{tmp_path}/queue.db", steady_clock(), max_length=10)
    assert again.read("id-1").state == "queued"
    again.close()


@pytest.mark.parametrize("whole_pages", [2, 20])
def test_each_use_of_a_damaged_file_tells_the_operator_its_path_and_what_to_do(
    tmp_path: Path, whole_pages: int
) -> None:
    """trust T53: a file that does not open, and one of which a row cannot be read."""
    file = tmp_path / "queue.db"
    queue = open_queue(f"sqlite:///{file}", steady_clock(), max_length=1000)
    for number in range(200):
        queue.submit(request(number))
    queue.close()
    whole = bytearray(file.read_bytes())
    kept = 4096 * whole_pages
    assert kept < len(whole)
    whole[kept:] = b"\xff" * (len(whole) - kept)
    file.write_bytes(whole)
    queue = open_queue(f"sqlite:///{file}", steady_clock(), max_length=1000)
    numbers = range(200)
    for use in (lambda: [queue.records.copy_of(f"id-{n}", "new") for n in numbers],):
        with pytest.raises(QueueUnavailableError) as raised:
            use()
        assert f"{file} is damaged" in str(raised.value)
        assert "move the file away" in str(raised.value)
        assert str(tmp_path) not in raised.value.told
    queue.close()
