"""What other threads do, while a disk or a store is waited for."""

import threading

import pytest

from towpath.concurrency import Crew
from towpath.storage import background
from towpath.storage.background import in_background


def test_a_job_is_done_in_another_thread() -> None:
    assert in_background(threading.get_ident).result() != threading.get_ident()


def test_what_a_job_raises_is_told_to_the_one_who_waits() -> None:
    def refused() -> None:
        message = "the disk said no"
        raise OSError(message)

    with pytest.raises(OSError, match="the disk said no"):
        in_background(refused).result()


def test_without_threads_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_crew", Crew("towpath-test", 0))
    assert in_background(threading.get_ident).result() == threading.get_ident()
