"""The queue on SQLite and PostgreSQL: one suite for both."""

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
from tests.queue.conftest import Clock

from towpath.clock import steady_clock
from towpath.errors import (
    IdempotencyKeyError,
    LeaseLostError,
    QueueFullError,
    QueueUnavailableError,
    RequestNotFoundError,
    SettingsError,
)
from towpath.queue.opening import open_queue
from towpath.queue.requests import Claim, LogLine, NewRequest, Outcome
from towpath.queue.store import RequestQueue

A, B = "local/a", "local/b"


def new(request_id: str, app: str = A, **more: object) -> NewRequest:
    return NewRequest(request_id, app, body=b'{"n": 1}', headers=(("x-a", "b"),), **more)


def claimed(queue: RequestQueue, app: str = A, worker: str = "w") -> Claim:
    claim = queue.claim([app], worker=worker, now=5.0)
    assert claim is not None
    return claim


def test_a_request_goes_in_is_worked_on_and_its_answer_is_kept_verbatim(queue, clock) -> None:
    given = queue.submit(new("1", method="PUT"))
    assert (given.state, given.position, given.submitted) == ("queued", 0, clock.now)
    assert queue.read("1") == given
    claim = claimed(queue)
    assert (claim.body, claim.headers, claim.method) == (b'{"n": 1}', (("x-a", "b"),), "PUT")
    assert queue.read("1").state == "running"
    assert queue.records.answer("1") is None
    clock.now += 3
    headers = (("content-type", "image/png"), ("x-twice", "1"), ("x-twice", "2"))
    queue.finish(claim, Outcome("ok", 201, headers, b"\x00\xff"))
    done = queue.read("1")
    assert (done.state, done.kind, done.status, done.position) == ("done", "ok", 201, None)
    assert done.finished == clock.now
    answer = queue.records.answer("1")
    assert (answer.status, answer.headers, answer.body) == (201, headers, b"\x00\xff")


def test_the_first_in_is_the_first_out_and_low_priority_waits_for_all_others(queue) -> None:
    for name, low in (("1", False), ("2", True), ("3", False), ("4", True)):
        queue.submit(new(name, low_priority=low))
    assert [queue.read(name).position for name in "1234"] == [0, 2, 1, 3]
    assert [claimed(queue).request_id for _ in range(4)] == ["1", "3", "2", "4"]
    assert queue.claim([A], worker="w", now=5.0) is None


def test_places_are_right_in_a_long_line(queue, clock) -> None:
    names = [f"{number:05}" for number in range(999)]
    for name in names:
        queue.submit(new(name, low_priority=name.endswith("7")))
    order = sorted(names, key=lambda name: (name.endswith("7"), name))
    for place in (0, 1, 498, 897, 899, 900, 998):
        assert queue.read(order[place]).position == place
    assert claimed(queue).request_id == order[0]
    queue.cancel(order[5])
    assert queue.read(order[998]).position == 996


def test_apps_take_turns(queue) -> None:
    for number in range(6):
        queue.submit(new(f"a{number}", A))
    queue.submit(new("b0", B))
    queue.submit(new("b1", B))
    order = [queue.claim([A, B], worker="w", now=1.0).app for _ in range(8)]
    assert order[:4] in ([A, B, A, B], [B, A, B, A])
    assert order.count(A) == 6
    assert queue.waiting() == {}


def test_a_full_line_takes_no_more(queue) -> None:
    queue.submit(new("1"))
    with pytest.raises(QueueFullError, match="1 requests wait for local/a, and the limit is 1"):
        queue.submit(new("2", max_length=1))
    queue.submit(new("3", B, max_length=1))
    claimed(queue)
    queue.submit(new("2", max_length=1))


def test_the_same_idempotency_key_is_the_same_request(queue) -> None:
    first = queue.submit(new("1", idempotency_key="k"))
    again = queue.submit(new("2", idempotency_key="k"))
    assert again == first
    assert queue.submit(new("3", B, idempotency_key="k")).request_id == "3"
    queue.finish(claimed(queue), Outcome("ok"))
    assert queue.submit(new("4", idempotency_key="k")).state == "done"
    assert queue.claim([A], worker="w", now=5.0) is None


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"caller": "you"}, False),
        ({"caller": ""}, False),
        ({"path": "/y?q=1"}, False),
        ({"app": B}, False),
        ({"idempotency_key": "K"}, False),
        ({"headers": (("traceparent", "2"),)}, True),
    ],
)
def test_a_key_counts_for_its_caller_and_endpoint(queue, change, is_same: bool) -> None:
    """Callers share no space of names: see trust T5."""
    given = {"path": "/x?q=1", "body": b"{}", "idempotency_key": "k", "caller": "me"}
    queue.submit(NewRequest("1", **{"app": A, **given}))
    found = queue.submit(NewRequest("2", **{"app": A, **given, **change}))
    assert (found.request_id == "1") is is_same


@pytest.mark.parametrize("change", [{"body": b"{} "}, {"path": "/x?q=2"}, {"path": "/x"}])
@pytest.mark.parametrize("is_done", [False, True])
def test_another_payload_under_the_same_key_is_refused(queue, change, is_done: bool) -> None:
    """The caller would get the old request without a word: see trust T5."""
    given = {"path": "/x?q=1", "body": b"{}", "idempotency_key": "k" * 255, "keep_io": False}
    queue.submit(NewRequest("1", A, **given))
    if is_done:
        queue.finish(claimed(queue), Outcome("ok"))
    with pytest.raises(IdempotencyKeyError, match="belongs to request 1, which has another body"):
        queue.submit(NewRequest("2", A, **{**given, **change}))
    assert queue.submit(NewRequest("3", A, **given)).request_id == "1"
    assert queue.waiting() == ({} if is_done else {A: 1})


def test_an_empty_key_is_none(queue) -> None:
    for name in ("1", "2"):
        assert queue.submit(new(name, idempotency_key="")).request_id == name


def test_many_at_once_with_the_same_key_are_one_row(queue) -> None:
    ids = set()

    def submit(number: int) -> None:
        ids.add(queue.submit(new(str(number), idempotency_key="k")).request_id)

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 1
    assert queue.waiting() == {A: 1}


def test_an_older_attempt_hands_in_nothing(queue) -> None:
    queue.submit(new("1"))
    old = claimed(queue)
    assert queue.take_back([("1", old.attempt)]) == 1
    fresh = claimed(queue, worker="other")
    assert (fresh.attempt, fresh.tries) == (2, 1), "the end of a server is not its fault"
    with pytest.raises(LeaseLostError):
        queue.finish(old, Outcome("ok", body=b"old"))
    with pytest.raises(LeaseLostError):
        queue.renew(old, now=6.0)
    queue.renew(fresh, now=6.0)
    queue.finish(fresh, Outcome("ok", body=b"new"))
    with pytest.raises(LeaseLostError):
        queue.finish(old, Outcome("retry"))
    assert queue.records.answer("1").body == b"new"


def test_handing_in_twice_is_the_same_as_once(queue) -> None:
    queue.submit(new("1"))
    claim = claimed(queue)
    queue.finish(claim, Outcome("ok", body=b"first"))
    queue.finish(claim, Outcome("ok", body=b"second"))
    assert queue.records.answer("1").body == b"first"


def test_a_retry_keeps_its_place_and_waits_for_its_time(queue, clock) -> None:
    queue.submit(new("1"))
    queue.submit(new("2"))
    queue.finish(claimed(queue), Outcome("retry", delay=10))
    waiting = queue.read("1")
    assert (waiting.state, waiting.position) == ("queued", 0)
    assert queue.read("2").position == 1
    assert claimed(queue).request_id == "2"
    assert queue.promote(clock.now + 9) == 0
    assert queue.claim([A], worker="w", now=5.0) is None
    assert queue.promote(clock.now + 10) == 1
    assert claimed(queue).tries == 2


def test_what_is_given_up_does_not_count_as_a_try(queue) -> None:
    queue.submit(new("1"))
    queue.finish(claimed(queue), Outcome("given up"))
    again = claimed(queue)
    assert (again.attempt, again.tries) == (2, 1)


def test_cancelling_removes_who_waits_and_marks_who_runs(queue) -> None:
    for name in "12":
        queue.submit(new(name))
    claim = claimed(queue, worker="w1")
    assert queue.cancel("2") == "removed"
    assert queue.cancel("2") == "completed"
    answer = queue.records.answer("2")
    assert answer.status == 499
    assert b"client_cancelled" in answer.body
    assert queue.read("2").kind == "cancelled"
    assert queue.cancel("1") == "requested"
    assert queue.cancel("1") == "requested"
    assert queue.stopping("w1") == ["1"]
    assert queue.stopping("w2") == []
    queue.finish(claim, Outcome("retry"))
    assert queue.read("1").kind == "cancelled", "who is to stop is not tried again"
    assert queue.cancel("1") == "completed"
    with pytest.raises(RequestNotFoundError):
        queue.cancel("unknown")
    assert queue.waiting() == {}


def test_a_worker_that_was_restarted_finds_what_it_held(queue) -> None:
    for name in "123":
        queue.submit(new(name))
    for worker in ("me", "me", "other"):
        claimed(queue, worker=worker)
    assert queue.take_back_all("me") == 2
    assert [queue.read(name).state for name in "123"] == ["queued", "queued", "running"]


def test_who_was_to_start_by_now_is_found(queue, clock) -> None:
    queue.submit(new("1", start_within=5))
    queue.submit(new("2"))
    assert queue.late(clock.now + 4) == []
    assert queue.late(clock.now + 5) == ["1"]
    assert queue.end_waiting("1", Outcome("error", 504, error="late", error_type="startup_timeout"))
    assert not queue.end_waiting("1", Outcome("error", 500))
    assert queue.late(clock.now + 9) == []
    done = queue.read("1")
    assert (done.status, done.error, done.error_type) == (504, "late", "startup_timeout")
    assert queue.waiting() == {A: 1}


def test_logs_and_progress_are_kept(queue) -> None:
    queue.submit(new("1"))
    claim = claimed(queue)
    lines = [(n, LogLine(float(n), "STDOUT", f"line {n} \u00e9")) for n in range(3)]
    queue.note(claim, lines, '{"done": 1}')
    queue.note(claim, lines[2:], None)
    assert queue.records.logs("1") == lines
    assert queue.records.logs("1", first=2) == lines[2:]
    assert queue.records.logs("unknown") == []
    assert queue.read("1").progress == '{"done": 1}'


def test_old_requests_are_forgotten_with_all_they_had(queue, clock) -> None:
    for name in ("1", "2", "3"):
        queue.submit(new(name))
    for _ in range(2):
        claim = claimed(queue)
        queue.note(claim, [(0, LogLine(1.0, "INFO", "x"))], None)
        queue.finish(claim, Outcome("ok", body=b"x"))
        clock.now += 100
    assert queue.records.forget_before(clock.now - 150) == 1
    assert queue.records.forget_before(clock.now - 150) == 0
    with pytest.raises(RequestNotFoundError, match="TOWPATH_QUEUE_RETENTION"):
        queue.read("1")
    assert queue.records.answer("1") is None
    assert queue.records.logs("1") == []
    assert queue.read("2").state == "done"
    assert queue.read("3").state == "queued"
    queue.sweep_counts()
    assert queue.waiting() == {A: 1}


def test_a_caller_may_have_the_body_forgotten(queue) -> None:
    queue.submit(new("1", keep_io=False))
    queue.submit(new("2"))
    for _ in "12":
        queue.finish(claimed(queue), Outcome("ok", body=b"answer"))
    with pytest.raises(RequestNotFoundError):
        queue.records.copy_of("1", "new")
    assert queue.records.answer("1").body == b"answer"
    copy = queue.records.copy_of("2", "new")
    assert (copy.request_id, copy.body, copy.headers) == ("new", b'{"n": 1}', (("x-a", "b"),))


def test_lists_are_paged_the_newest_first(queue) -> None:
    for number in range(5):
        queue.submit(new(str(number), A if number % 2 else B))
    queue.finish(claimed(queue), Outcome("ok"))
    first = queue.records.page(limit=3)
    assert [each.request_id for each in first.requests] == ["4", "3", "2"]
    rest = queue.records.page(limit=3, cursor=first.cursor)
    assert [each.request_id for each in rest.requests] == ["1", "0"]
    assert rest.cursor is None
    assert [r.request_id for r in queue.records.page(app=B).requests] == ["4", "2", "0"]
    assert [r.request_id for r in queue.records.page(state="done").requests] == ["1"]
    assert len(queue.records.page(state="queued").requests) == 4
    for wrong in ({"limit": 0}, {"limit": 1001}, {"cursor": "x"}):
        with pytest.raises(ValueError, match=r"limit|invalid"):
            queue.records.page(**wrong)


def _work(database: str, worker: str, done: "multiprocessing.Queue[list[str]]") -> None:
    queue = open_queue(database, steady_clock(), max_length=10_000)
    mine = []
    while (claim := queue.claim([A], worker=worker, now=1.0)) is not None:
        mine.append(claim.request_id)
        queue.finish(claim, Outcome("ok"))
    queue.close()
    done.put(mine)


def test_eight_processes_never_share_a_request(database: str) -> None:
    queue = open_queue(database, steady_clock(), max_length=10_000)
    names = {str(number) for number in range(400)}
    for name in names:
        queue.submit(new(name))
    context = multiprocessing.get_context("spawn")
    done: multiprocessing.Queue[list[str]] = context.Queue()
    workers = [context.Process(target=_work, args=(database, f"w{n}", done)) for n in range(8)]
    for worker in workers:
        worker.start()
    found = [name for _ in workers for name in done.get(timeout=60)]
    for worker in workers:
        worker.join()
    assert len(found) == len(names)
    assert set(found) == names
    queue.close()


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    queue = open_queue(f"sqlite:///{tmp_path / 'queue.db'}", clock, max_length=10_000)
    queue.submit(new("1"))
    connection: sqlite3.Connection = queue._transactions._writer.driver_connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(QueueUnavailableError, match="disk is full") as full:
        for number in range(2, 1000):
            queue.submit(new(str(number)))
    assert full.value.is_full
    claim = claimed(queue)
    assert claim.request_id == "1"
    connection.execute("PRAGMA max_page_count=1000000")
    queue.finish(claim, Outcome("ok"))
    queue.submit(new("later"))
    queue.close()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("mysql+nothing://x/y", "not an address"),
        ("no address", "not an address"),
        ("postgresql+psycopg://nobody@127.0.0.1:1/x", "refused"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named(url: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        open_queue(url, steady_clock(), max_length=1)
