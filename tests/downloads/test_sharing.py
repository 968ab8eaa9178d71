"""One transfer for many callers, in one process and in several."""

import hashlib
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from tests.support.downloads import everything_in, start

from towpath.downloads.flights import Flights
from towpath.errors import SourceStatusError, SourceUnavailableError
from towpath.testing.misbehaviours import BODY
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_file, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")


def slow(exchange: Exchange) -> None:
    exchange.serve(BODY, pause=0.02)


@pytest.fixture
def server():
    with origin_of({"/f": slow}) as origin:
        yield origin


def at_once(*calls) -> list[object]:
    """Call all in threads; return their results or errors in order."""
    results: list[object] = [None] * len(calls)

    def run(at: int) -> None:
        try:
            results[at] = calls[at]()
        except Exception as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_eight_threads_make_one_request(server, data_dir: Path) -> None:
    paths = at_once(*[lambda: download_file(server.url("/f"), "in")] * 8)
    assert set(paths) == {data_dir / "in" / "f"}
    assert paths[0].read_bytes() == BODY
    assert len(server.seen) == 1


@pytest.mark.parametrize("weights", [False, True])
def test_eight_processes_make_one_request(server, data_dir: Path, weights: bool) -> None:
    all_wait = threading.Event()

    def behave(exchange: Exchange) -> None:
        all_wait.wait(60)
        exchange.serve(BODY)

    server.behaviours["/f"] = behave
    processes = [start(server.url("/f"), data_dir, weights=weights) for _ in range(8)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 8
    time.sleep(0.5)  # from here to the call
    all_wait.set()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, answers
    paths = {Path(out.strip()) for out, _ in answers}
    assert len(paths) == 1
    path = paths.pop()
    assert path.read_bytes() == BODY
    assert everything_in(path.parent) == ["f"]
    assert len(server.seen) == 1


def test_an_error_is_shared_too(server) -> None:
    def gone(exchange: Exchange) -> None:
        exchange.wait(0.3)
        exchange.answer(b"", "410 Gone")

    server.behaviours["/f"] = gone
    results = at_once(*[lambda: download_file(server.url("/f"), "in")] * 5)
    assert all(isinstance(result, SourceStatusError) for result in results)
    assert len(server.seen) == 1


def test_callers_with_other_headers_do_not_share(server) -> None:
    def call(token: str):
        headers = {"Authorization": token}
        return lambda: download_file(server.url("/f"), "in", request_headers=headers, force=True)

    at_once(call("one"), call("two"))
    assert {seen.headers["authorization"] for seen in server.seen} == {"one", "two"}


def private(exchange: Exchange) -> None:
    """Answer each caller with what is his; two of them with the same validator and length."""
    who = exchange.seen.headers.get("authorization", "nobody")
    exchange.serve((who[-5:] * 60_000).encode(), pause=0.05)


def alone(exchange: Exchange) -> None:
    """Answer each caller with what is his, without a validator."""
    who = exchange.seen.headers.get("authorization", "nobody")
    exchange.answer((who[-5:] * 100).encode())


HEADERS = {"alice": {"Authorization": "Bearer alice"}, "bobby": {"Authorization": "Bearer bobby"}}


def fetched(call, user: str) -> tuple[Path, bytes]:
    path = call(HEADERS[user])
    return path, path.read_bytes()


CALLS = {
    "file": lambda url, headers: download_file(url, "in", request_headers=headers),
    "forced": lambda url, headers: download_file(url, "in", request_headers=headers, force=True),
    "weights": lambda url, headers: download_model_weights(url, request_headers=headers),
}


@pytest.mark.parametrize("behaviour", [private, alone])
@pytest.mark.parametrize("kind", CALLS)
def test_each_asker_gets_his_own_file(server, behaviour, kind: str) -> None:
    """Trust T21: at the same moment, a moment later, and one after the other."""
    server.behaviours["/me"] = behaviour
    call = partial(CALLS[kind], server.url("/me"))

    def alice() -> tuple[Path, bytes]:
        return fetched(call, "alice")

    def bobby() -> tuple[Path, bytes]:
        time.sleep(0.25)
        return fetched(call, "bobby")

    results = [*at_once(alice, bobby), alice(), bobby()]
    for user, (path, content) in zip(["alice", "bobby"] * 2, results, strict=True):
        assert content.decode().replace(user, "") == ""
        assert path.read_bytes() == content
    assert len({path for path, _ in results}) == 2
    assert {seen.headers["authorization"][-5:] for seen in server.seen} == set(HEADERS)


def test_askers_in_other_processes_get_their_own_files(server, data_dir: Path) -> None:
    """Trust T21, over the lock of the file system."""
    server.behaviours["/me"] = private
    processes = [
        start(server.url("/me"), data_dir, headers=headers) for headers in HEADERS.values()
    ]
    answers = [process.communicate(timeout=60)[0] for process in processes]
    for user, answer in zip(HEADERS, answers, strict=True):
        assert Path(answer.splitlines()[-1]).read_text().replace(user, "") == ""


def test_a_copy_that_a_digest_pins_is_for_those_who_may_read_it(server) -> None:
    """Trust T21: also what this process remembers as whole."""

    def guarded(exchange: Exchange) -> None:
        if exchange.seen.headers.get("authorization") == "Bearer alice":
            exchange.answer(BODY)
        else:
            exchange.answer(b"", "403 Forbidden")

    server.behaviours["/f"] = guarded
    digest = hashlib.sha256(BODY).hexdigest()
    for _ in range(2):
        download_file(server.url("/f"), "in", sha256=digest, request_headers=HEADERS["alice"])
        download_model_weights(server.url("/f"), request_headers=HEADERS["alice"])
    assert len(server.seen) == 2
    for headers in (HEADERS["bobby"], None):
        with pytest.raises(SourceStatusError):
            download_file(server.url("/f"), "in", sha256=digest, request_headers=headers)
        with pytest.raises(SourceStatusError):
            download_model_weights(server.url("/f"), request_headers=headers)


def test_what_another_asker_left_half_is_not_gone_on_with(server, data_dir: Path) -> None:
    """Trust T21: parts have a journal for each asker, and the server's validators are equal."""
    server.behaviours["/me"] = lambda exchange: exchange.serve(
        exchange.seen.headers["authorization"][-5:].encode() * 600_000,
        pause=0 if exchange.seen.headers["authorization"].endswith("bobby") else 0.1,
    )
    process = start(server.url("/me"), data_dir, headers=HEADERS["alice"])
    try:
        while not list((data_dir / ".towpath" / "downloads").glob("?/*.journal")):
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    path = download_file(server.url("/me"), "in", request_headers=HEADERS["bobby"])
    assert path.read_text().replace("bobby", "") == ""


def test_a_connection_that_one_asker_signed_in_on_is_not_anothers(server) -> None:
    """Trust T21: some servers sign in connections and not requests (RFC 4559)."""
    peers: dict[str, set[object]] = {}

    def behave(exchange: Exchange) -> None:
        who = exchange.seen.headers.get("authorization", "nobody")
        peers.setdefault(who, set()).add(exchange.peer)
        exchange.answer(b"x")

    server.behaviours |= {f"/{at}": behave for at in range(6)}
    for at in range(6):
        headers = [HEADERS["alice"], HEADERS["bobby"], None][at % 3]
        download_file(server.url(f"/{at}"), "in", request_headers=headers)
    assert len(peers) == 3
    assert len(set.union(*peers.values())) == sum(len(each) for each in peers.values()) == 3


def test_an_impatient_caller_does_not_end_the_download_of_a_patient_one(server) -> None:
    """Trust T21: what ends a call is a part of what may be shared."""
    server.behaviours["/f"] = lambda exchange: exchange.serve(BODY, pause=0.3)

    def patient() -> bytes:
        time.sleep(0.1)
        return download_file(server.url("/f"), "in").read_bytes()

    results = at_once(lambda: download_file(server.url("/f"), "in", deadline=0.5), patient)
    assert isinstance(results[0], SourceUnavailableError)
    assert results[1] == BODY


def test_after_an_interrupt_another_caller_takes_over() -> None:
    flights: Flights[int] = Flights()
    entered, leave = threading.Event(), threading.Event()

    def interrupted() -> int:
        entered.set()
        leave.wait()
        raise KeyboardInterrupt

    def leader() -> None:
        with pytest.raises(KeyboardInterrupt):
            flights.share("k", interrupted)

    first = threading.Thread(target=leader)
    first.start()
    entered.wait()
    results: list[int] = []
    second = threading.Thread(target=lambda: results.append(flights.share("k", lambda: 7)))
    second.start()
    leave.set()
    first.join()
    second.join()
    assert results == [7]


def test_weights_that_are_here_cost_no_request_in_any_process(server, data_dir: Path) -> None:
    download_model_weights(server.url("/f"))
    out, _ = start(server.url("/f"), data_dir, weights=True).communicate()
    assert Path(out.splitlines()[-1]).read_bytes() == BODY
    assert len(server.seen) == 1


def test_a_file_system_without_locks_costs_traffic_and_no_file(
    server, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    paths = at_once(*[lambda: download_file(server.url("/f"), "in", force=True)] * 3)
    assert set(paths) == {data_dir / "in" / "f"}
    assert paths[0].read_bytes() == BODY
    assert everything_in(data_dir / "in") == ["f"]
