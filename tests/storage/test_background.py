"""Jobs for other threads: done once, told to everybody who asks, in a thread or here."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from towpath.storage import background
from towpath.storage.background import in_background, in_turn


def refused() -> None:
    message = "the disk said no"
    raise OSError(message)


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> background._Crew:
    crew = background._Crew()
    monkeypatch.setattr(background._Here, "crew", crew)
    return crew


@pytest.fixture
def no_threads(crew: background._Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        message = "can't start new thread at interpreter shutdown"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_job_is_done_by_another_thread_and_told_as_often_as_asked(crew) -> None:
    job = in_background(threading.get_ident)
    assert job.result() == job.result() != threading.get_ident()


def test_what_a_job_raises_is_told_to_the_one_who_asks(crew) -> None:
    job = in_background(refused)
    job.wait()
    for _ in range(2):
        with pytest.raises(OSError, match="the disk said no"):
            job.result()


def test_jobs_one_after_the_other_share_a_thread(crew) -> None:
    assert len({in_background(threading.get_ident).result() for _ in range(50)}) == 1


def test_jobs_side_by_side_have_threads_of_their_own_up_to_a_limit(crew) -> None:
    inside, go = threading.Semaphore(0), threading.Event()

    def wait() -> int:
        inside.release()
        go.wait(10)
        return threading.get_ident()

    jobs = [in_background(wait) for _ in range(40)]
    for _ in range(32):
        assert inside.acquire(timeout=10)
    assert not inside.acquire(timeout=0.05), "eight wait"
    go.set()
    assert len({job.result() for job in jobs}) == 32


def test_a_job_in_turn_follows_in_the_same_thread(crew) -> None:
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


def test_nothing_follows_a_job_that_failed(crew) -> None:
    followed = []
    work, rest = in_turn(refused, followed.append)
    for job in (work, rest):
        with pytest.raises(OSError, match="the disk said no"):
            job.result()
    assert followed == []


def test_without_threads_jobs_are_done_here(no_threads) -> None:
    assert in_background(threading.get_ident).result() == threading.get_ident()
    work, rest = in_turn(lambda: 2, lambda two: two + 1)
    assert (work.result(), rest.result()) == (2, 3)
    with pytest.raises(OSError, match="the disk said no"):
        in_background(refused).result()


def test_a_forked_child_has_threads_of_its_own(crew) -> None:
    assert in_background(lambda: 1).result() == 1
    child = os.fork()
    if child == 0:
        os._exit(in_background(lambda: 5).result())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


@pytest.mark.parametrize("moment", ["atexit.register(save)", "keep = Last()", "save()"])
def test_a_process_that_ends_waits_for_no_thread_that_is_gone(moment: str) -> None:
    code = f"""
import atexit
from towpath.storage.background import in_background
def save(): print("saved", in_background(lambda: 5).result(), flush=True)
class Last:
    def __init__(self): self.save, self.print = save, print
    def __del__(self): self.save()
in_background(lambda: 1).result()
{moment}
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "saved 5\n", done.stderr


def test_a_thread_keeps_nothing_of_a_job_that_ended(crew) -> None:
    class Large:
        pass

    large = Large()
    kept = weakref.ref(large)
    in_background(lambda given=large: None).wait()
    del large
    until = time.monotonic() + 10
    while kept() is not None and time.monotonic() < until:
        gc.collect()
    assert kept() is None
