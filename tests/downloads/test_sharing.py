"""One transfer for many callers, in one process and in several."""

import threading
import time
from pathlib import Path

import pytest
from tests.support.downloads import everything_in, start

from towpath.downloads.flights import Flights
from towpath.errors import SourceStatusError
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
