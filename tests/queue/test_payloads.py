"""Large bodies are files of their requests: kept durably, found by their rows, swept without one."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from towpath.clock import system_clock
from towpath.errors import IdempotencyKeyError, QueueUnavailableError, StoreFullError
from towpath.queue.opening import open_queue
from towpath.queue.payloads import Payloads, split
from towpath.queue.requests import NewRequest
from towpath.queue.store import RequestQueue
from towpath.queue.transactions import _OneFile


@pytest.fixture
def payloads(tmp_path: Path) -> Payloads:
    return Payloads(tmp_path / "bodies", 0, now=lambda: 2e9)


def names(payloads: Payloads) -> list[str]:
    return sorted(path.name for path in payloads.room.folder.iterdir())


def kept(payloads: Payloads, name: str, data: bytes = b"12") -> tuple[str, str]:
    draft = payloads.draft()
    draft.write(data)
    pair = payloads.keep(draft, name)
    draft.close()
    return pair


def test_a_draft_that_is_kept_stays_and_another_one_goes(payloads: Payloads) -> None:
    pair = kept(payloads, "a.body")
    other = payloads.draft()
    other.write(b"3")
    other.close()
    assert names(payloads) == ["a.body"]
    headers, name = split((("x", "y"), pair))
    assert (headers, name) == ((("x", "y"),), "a.body")
    assert payloads.path(name).read_bytes() == b"12"


def test_a_name_that_leads_elsewhere_stays_in_the_folder(payloads: Payloads) -> None:
    assert payloads.path("../../etc/passwd").parent == payloads.room.folder


def test_a_copy_outlives_what_it_was_made_of(payloads: Payloads) -> None:
    kept(payloads, "a.body")
    payloads.copy("a.body", "b.body")
    payloads.drop("a.body")
    payloads.drop("a.body")
    assert payloads.path("b.body").read_bytes() == b"12"


def test_drafts_of_killed_servers_and_files_without_a_request_are_swept(payloads) -> None:
    for name in ("a.body", "b.body", "b.answer-2"):
        kept(payloads, name)
    payloads.draft().file.close()  # and its process is killed
    assert payloads.sweep(lambda request_id: request_id == "b") == 2
    assert names(payloads) == ["b.answer-2", "b.body"]


def test_what_is_new_is_not_swept(tmp_path: Path) -> None:
    fresh = Payloads(tmp_path / "bodies", 0)
    kept(fresh, "a.body")
    fresh.draft().file.close()
    assert fresh.sweep(lambda _: False) == 0


def test_a_draft_keeps_the_reserve(tmp_path: Path) -> None:
    """trust T9."""
    with (
        closing(Payloads(tmp_path / "bodies", 2**60).draft()) as draft,
        pytest.raises(StoreFullError),
    ):
        draft.write(b"1")
    assert draft.size == 0


def test_another_large_body_under_the_same_key_is_refused(tmp_path: Path) -> None:
    queue = open_queue(f"sqlite:///{tmp_path}/queue.db", system_clock, max_length=10, reserve=0)
    try:
        assert queue.payloads is not None
        for number, data in enumerate([b"1" * 10**6, b"1" * 10**6, b"2" * 10**6]):
            pair = kept(queue.payloads, f"{number}.body", data)
            file = queue.payloads.path(pair[1])
            new = NewRequest(str(number), "a/b", headers=(pair,), file=file, idempotency_key="k")
            if number < 2:
                assert queue.submit(new).request_id == "0"
            else:
                with pytest.raises(IdempotencyKeyError):
                    queue.submit(new)
        claim = queue.claim(["a/b"], worker="w", now=0)
        assert claim is not None
        assert split(claim.headers)[1] == "0.body"
    finally:
        queue.close()


# --- a full disk ---------------------------------------------------------------------------------


def test_a_transaction_that_is_undone_takes_nobody_s_work_with_it(tmp_path: Path) -> None:
    """trust T9: what is too large for the disk fails alone; later everything goes on."""
    queue = open_queue(f"sqlite:///{tmp_path}/queue.db", system_clock, max_length=1000, reserve=0)
    try:
        transactions = queue._transactions
        assert isinstance(transactions, _OneFile)
        writer = transactions._writer.driver_connection
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count={pages + 40}")
        said = at_once(queue, [100, 100, 5_000_000, 100, 3_000_000, 100])
        assert [type(each) for each in said] == [
            *(str, str, QueueUnavailableError, str, QueueUnavailableError, str)
        ]
        assert all(each.is_full for each in said if isinstance(each, QueueUnavailableError))
        writer.execute("PRAGMA max_page_count=100000")
        assert [type(each) for each in at_once(queue, [5_000_000, 100])] == [str, str]
    finally:
        queue.close()


def at_once(queue: RequestQueue, sizes: list[int]) -> list[str | Exception]:
    """Submit bodies of these sizes in one batch; return ids or errors."""
    said: dict[int, str | Exception] = {}
    transactions = queue._transactions
    assert isinstance(transactions, _OneFile)

    def submit(place: int, size: int) -> None:
        try:
            new = NewRequest(f"{id(said)}-{place}", "a/b", body=bytes(size))
            said[place] = queue.submit(new).request_id
        except QueueUnavailableError as error:
            said[place] = error

    threads = [
        threading.Thread(target=submit, args=(place, size)) for place, size in enumerate(sizes)
    ]
    with transactions._lock:
        transactions._is_led = True  # nobody leads until all wait
    for thread in threads:
        thread.start()
    while len(transactions._waiting) < len(sizes):
        threading.Event().wait(0.01)
    transactions._lead()
    for thread in threads:
        thread.join()
    return [said[place] for place in range(len(sizes))]


def test_a_row_of_an_older_version_has_its_body_in_it(tmp_path: Path) -> None:
    queue = open_queue(f"sqlite:///{tmp_path}/queue.db", system_clock, max_length=10, reserve=0)
    queue.submit(NewRequest("1", "a/b", headers=(("x", "y"),), body=b"1" * 10**6))
    claim = queue.claim(["a/b"], worker="w", now=0)
    queue.close()
    assert claim is not None
    assert (len(claim.body), split(claim.headers)) == (10**6, ((("x", "y"),), None))
