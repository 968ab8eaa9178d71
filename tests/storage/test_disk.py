"""What is written is durable when the call returns, and failures are told."""

import os
from pathlib import Path

import pytest

from towpath.storage import disk
from towpath.storage.disk import PIECE, Disk


def test_bytes_are_written_whole_and_synced(tmp_path: Path, monkeypatch) -> None:
    data, seen = os.urandom(3_000_000), []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Disk().write(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == data
    assert seen == [len(data)]


@pytest.mark.parametrize("is_durable", [True, False])
def test_what_is_written_goes_to_the_disk_while_the_rest_is_written(
    tmp_path: Path, monkeypatch, *, is_durable: bool
) -> None:
    sent = []
    real = os.posix_fadvise

    def advise(descriptor: int, start: int, size: int, advice: int) -> None:
        sent.append((start, size, os.fstat(descriptor).st_size))
        real(descriptor, start, size, advice)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    data = os.urandom(2 * PIECE + 5)
    Disk(is_durable=is_durable).write(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == data
    parts = [(0, PIECE, PIECE), (PIECE, PIECE, 2 * PIECE)]  # the last one is only synced
    assert sent == (parts if is_durable else [])


def test_a_system_that_takes_no_advice_writes_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(disk, "_HAS_ADVICE", False)
    monkeypatch.delattr(os, "posix_fadvise")
    Disk().write(tmp_path / "a", b"x" * 3 * PIECE)
    assert (tmp_path / "a").stat().st_size == 3 * PIECE


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        Disk().write(tmp_path / "a", b"other")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_what_is_not_there_cannot_be_synced(tmp_path: Path) -> None:
    Disk().sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        Disk().sync(tmp_path / "gone")
    Disk(is_durable=False).sync(tmp_path / "gone")


def test_a_disk_that_need_not_be_durable_syncs_nothing(tmp_path: Path, monkeypatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "fsync", refuse)
    disk_of_the_process = Disk(is_durable=False)
    disk_of_the_process.write(tmp_path / "a", b"x")
    disk_of_the_process.sync(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"x"
