"""What follows what, while a disk or a store is waited for."""

import threading

import pytest

from towpath.concurrency import Crew
from towpath.storage import background
from towpath.storage.background import in_background, in_turn


def refused() -> None:
    message = "the disk said no"
    raise OSError(message)


def test_a_job_is_done_in_another_thread() -> None:
    assert in_background(threading.get_ident).result() != threading.get_ident()


def test_a_job_in_turn_follows_in_the_same_thread() -> None:
    told, go = threading.Event(), threading.Event()

    def rest(first: int) -> tuple[int, int]:
        told.set()
        assert go.wait(10)
        return first, threading.get_ident()

    work, after = in_turn(threading.get_ident, rest)
    first = work.result()
    assert told.wait(10), "the first is told while the second still goes on"
    go.set()
    assert after.result() == (first, first)


def test_nothing_follows_a_job_that_failed() -> None:
    followed = []
    work, rest = in_turn(refused, followed.append)
    for job in (work, rest):
        with pytest.raises(OSError, match="the disk said no"):
            job.result()
    assert followed == []


def test_without_threads_both_are_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_crew", Crew("towpath-test", 0, queues=True))
    work, rest = in_turn(threading.get_ident, lambda first: (first, threading.get_ident()))
    assert rest.result() == (work.result(), threading.get_ident())
