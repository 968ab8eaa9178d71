"""Jobs for other threads: done once, told to everybody who asks, in a thread or here."""

import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from towpath import concurrency
from towpath.concurrency import Crew, side_by_side


def refused() -> None:
    message = "the disk said no"
    raise OSError(message)


@pytest.fixture
def crew() -> Crew:
    return Crew("towpath-test", 32)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        message = "can't start new thread at interpreter shutdown"
        raise RuntimeError(message)

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_job_is_done_by_another_thread_and_told_as_often_as_asked(crew) -> None:
    job = crew.begin(threading.get_ident)
    assert job.result() == job.result() != threading.get_ident()


def test_what_a_job_raises_is_told_to_the_one_who_asks(crew) -> None:
    job = crew.begin(refused)
    job.wait()
    for _ in range(2):
        with pytest.raises(OSError, match="the disk said no"):
            job.result()


def test_jobs_one_after_the_other_share_a_thread(crew) -> None:
    assert len({crew.begin(threading.get_ident).result() for _ in range(50)}) == 1


def test_jobs_side_by_side_have_threads_of_their_own_up_to_a_limit(crew) -> None:
    inside, go = threading.Semaphore(0), threading.Event()

    def wait() -> int:
        inside.release()
        go.wait(10)
        return threading.get_ident()

    jobs = [crew.begin(wait) for _ in range(40)]
    for _ in range(32):
        assert inside.acquire(timeout=10)
    assert not inside.acquire(timeout=0.05), "eight wait"
    go.set()
    assert len({job.result() for job in jobs}) == 32


@pytest.mark.usefixtures("no_threads")
def test_without_threads_jobs_are_done_here(crew) -> None:
    assert crew.begin(threading.get_ident).result() == threading.get_ident()
    with pytest.raises(OSError, match="the disk said no"):
        crew.begin(refused).result()


def test_a_forked_child_has_threads_of_its_own(crew) -> None:
    assert crew.begin(lambda: 1).result() == 1
    child = os.fork()
    if child == 0:
        os._exit(crew.begin(lambda: 5).result())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


@pytest.mark.parametrize("moment", ["atexit.register(save)", "keep = Last()", "save()"])
def test_a_process_that_ends_waits_for_no_thread_that_is_gone(moment: str) -> None:
    code = f"""
import atexit
from towpath.concurrency import Crew
crew = Crew("towpath-test", 2)
def save(): print("saved", crew.begin(lambda: 5).result(), flush=True)
class Last:
    def __init__(self): self.save, self.print = save, print
    def __del__(self): self.save()
crew.begin(lambda: 1).result()
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
    crew.begin(lambda given=large: None).wait()
    del large
    until = time.monotonic() + 10
    while kept() is not None and time.monotonic() < until:
        gc.collect()
    assert kept() is None


# --- side by side ---


def test_results_come_in_the_order_of_the_values() -> None:
    assert side_by_side(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    assert side_by_side(lambda n: n * n, []) == []


def test_values_are_worked_on_at_once() -> None:
    together = threading.Barrier(4, timeout=10)
    side_by_side(lambda _: together.wait(), range(4))


def test_helpers_that_are_busy_come_when_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, go = Crew("towpath-test", 3), threading.Event()
    monkeypatch.setattr(concurrency, "_company", crew)
    busy = [crew.begin(lambda: go.wait(10)) for _ in range(3)]
    threading.Timer(0.05, go.set).start()
    together = threading.Barrier(4, timeout=10)
    side_by_side(lambda _: together.wait(), range(4))
    assert all(job.result() for job in busy)


def test_helpers_that_come_too_late_find_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    crew, go = Crew("towpath-test", 3), threading.Event()
    monkeypatch.setattr(concurrency, "_company", crew)
    busy = [crew.begin(lambda: go.wait(10)) for _ in range(3)]
    here = threading.get_ident()
    assert side_by_side(lambda _: threading.get_ident(), range(9)) == [here] * 9
    go.set()
    assert all(job.result() for job in busy)
    assert crew.begin(lambda: 5).result() == 5


def test_a_value_that_takes_long_holds_up_no_other() -> None:
    go = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert go.wait(10)
        elif n == 9:
            go.set()
        return n

    assert side_by_side(work, range(10), helpers=1) == list(range(10))


def test_no_more_threads_help_than_are_asked_for() -> None:
    assert set(side_by_side(lambda _: threading.get_ident(), range(9), helpers=0)) == {
        threading.get_ident()
    }


def test_work_that_splits_further_waits_for_nobody() -> None:
    def inner(n: int) -> int:
        return sum(side_by_side(lambda m: m, range(n)))

    expected = [sum(range(n)) for n in range(40)]
    assert side_by_side(inner, range(40)) == expected


def test_all_calls_end_before_an_error_is_raised() -> None:
    ended = []

    def work(n: int) -> None:
        if n == 1:
            refused()
        time.sleep(0.01)
        ended.append(n)

    with pytest.raises(OSError, match="the disk said no"):
        side_by_side(work, range(12))
    assert sorted(ended) == [0, *range(2, 12)]


def test_the_context_goes_along_and_what_is_set_stays_there() -> None:
    place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")
    place.set("here")

    def look(n: int) -> str:
        seen = place.get()
        place.set(str(n))
        return seen

    assert side_by_side(look, range(12)) == ["here"] * 12
    assert place.get() == "here"
