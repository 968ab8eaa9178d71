"""What is killed, hangs, fills up or leaves: no request is lost, no process is left, nothing sticks."""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.journeys.test_store_troubles import mounted
from tests.support.command import Command, wait_until, write
from tests.support.queued import result, status, submit, until

from towpath.testing import Server, serve

APP = str(Path(__file__).parents[1] / "support" / "queue_app.py")
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root; CI has it")


def run(tmp_path: Path, *flags: str, app: str = APP, **env: str) -> Command:
    data = str(tmp_path / "data")
    given = {"TOWPATH_STORE_RESERVE": "0", **env}
    return Command(app, "--port", "0", "--data-dir", data, *flags, env=given)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(APP, store_reserve=0) as running:
        yield running


def pids(url: str) -> tuple[int, int]:
    answer = httpx2.post(f"{url}/local/busy", json={}, timeout=30).json()
    return answer["pid"], answer["child"]


# --- 1, 3, 4: kills ---


def test_a_runner_killed_at_work_costs_a_queued_request_nothing(server: Server) -> None:
    pid, child = pids(server.url)
    given = [submit(server.url, "busy", {"seconds": 5, "name": str(n)}) for n in range(3)]
    for each in given:
        until(each, "IN_PROGRESS")
    os.kill(pid, signal.SIGKILL)
    for number, each in enumerate(given):
        answer = result(each).json()
        assert answer["name"] == str(number)
        assert answer["pid"] != pid
    wait_until(lambda: gone(child))
    shown = httpx2.get(f"{server.url}/admin/requests/{given[0]['request_id']}").json()
    assert shown["attempt"] == 2


def test_a_runner_that_dies_of_a_request_is_replaced_and_the_request_ends(server: Server) -> None:
    """trust T31, T33: after two tries, each with its line."""
    given = submit(server.url, "busy/die")
    done = until(given, "COMPLETED", 60)
    assert done["error_type"] == "runner_disconnected"
    assert httpx2.get(given["response_url"]).status_code == 503
    lines = [line for line in done["logs"] if line["message"] == "about to die"]
    assert [line["attempt"] for line in lines] == [1, 2]
    apps = httpx2.get(f"{server.url}/admin/status").json()["apps"]
    assert apps["local/busy"]["state"] in {"ready", "starting"}, "the app does not pay for it"
    assert httpx2.post(f"{server.url}/local/busy", json={}, timeout=60).status_code == 200


def test_a_server_killed_loses_no_request_and_leaves_no_process(tmp_path: Path) -> None:
    with run(tmp_path) as first:
        first.wait_for("ready in")
        url = first.url
        known = pids(url)
        done = submit(url, "busy", {"name": "done"})
        answer = result(done).json()
        running = [submit(url, "busy", {"seconds": 30, "name": f"r{n}"}) for n in range(4)]
        for each in running:
            until(each, "IN_PROGRESS")
        waiting = [submit(url, "busy", {"name": f"w{n}"}) for n in range(10)]
        runners = [child.pid for child in first.runners()]
        first.send(signal.SIGKILL)
        first.finish()
        for pid in (*runners, *known):
            wait_until(lambda pid=pid: gone(pid))
    database = sqlite3.connect(tmp_path / "data/.towpath/state/queue.db")
    quick = json.dumps({"seconds": 0, "name": "again"}).encode()
    database.execute("UPDATE payloads SET body = ? WHERE CAST(body AS TEXT) LIKE '%30%'", (quick,))
    database.commit()
    database.close()
    with run(tmp_path) as second:
        second.wait_for("ready in")
        url = second.url

        def asked(given: dict, what: str) -> httpx2.Response:
            return httpx2.get(f"{url}/queue/local/busy/requests/{given['request_id']}{what}")

        assert asked(done, "").json() == answer, "what was done is there at once"
        wait_until(lambda: all(asked(g, "/status").status_code == 200 for g in running + waiting))
        assert {asked(each, "").json()["name"] for each in running} == {"again"}
        assert [asked(each, "").json()["name"] for each in waiting] == [f"w{n}" for n in range(10)]


def test_a_server_killed_before_an_answer_was_written_down_runs_it_again(tmp_path: Path) -> None:
    """Between the runner's answer and its row: twice run, once answered."""
    code = """
        from pathlib import Path
        import towpath
        class Counting(towpath.App):
            @towpath.endpoint("/")
            def run(self, folder: str) -> int:
                with Path(folder, "calls").open("a") as calls:
                    calls.write("call\\n")
                return len(Path(folder, "calls").read_text().split())
    """
    app = write(tmp_path, "counting.py", code)
    with run(tmp_path, app=app) as first:
        first.wait_for("ready in")
        path = tmp_path / "data/.towpath/state/queue.db"
        held = sqlite3.connect(path, isolation_level=None)
        given = submit(first.url, "counting", {"folder": str(tmp_path)})
        with suppress(sqlite3.OperationalError):
            while not (tmp_path / "calls").exists():
                held.execute("BEGIN IMMEDIATE")  # nobody else writes from here on
                time.sleep(0.02)
                if not (tmp_path / "calls").exists():
                    held.execute("ROLLBACK")
                    time.sleep(0.01)
        first.send(signal.SIGKILL)
        first.finish()
        held.close()
    with run(tmp_path, app=app) as second:
        second.wait_for("ready in")
        base = f"{second.url}/queue/local/counting/requests/{given['request_id']}"
        wait_until(lambda: httpx2.get(f"{base}/status").status_code == 200)
        calls = len((tmp_path / "calls").read_text().split())
        assert httpx2.get(base).json() == calls
        assert calls in {1, 2}


# --- 2: setup ---


PICKY = """
    import os, time
    from pathlib import Path
    import towpath
    class Picky(towpath.App, startup_timeout=SECONDS):
        def setup(self):
            how = Path(__file__).with_name("how").read_text()
            if how == "raise":
                raise ValueError("no weights")
            if how == "die":
                print("last words", flush=True)
                os.kill(os.getpid(), 9)
            if how == "hang":
                time.sleep(600)
        @towpath.endpoint("/")
        def run(self) -> int:
            return 1
"""


def failure(server: Server) -> str:
    apps = httpx2.get(f"{server.url}/admin/status").json()["apps"]
    return apps["local/picky"]["failure"] or ""


@pytest.mark.slow
def test_setup_that_fails_is_told_and_queued_requests_wait(tmp_path: Path) -> None:
    app = write(tmp_path, "picky.py", PICKY.replace("SECONDS", "120"))
    how = tmp_path / "how"
    how.write_text("raise")
    with serve(app, data_dir=tmp_path / "data", store_reserve=0) as server:
        given = submit(server.url, "picky")
        direct = httpx2.post(f"{server.url}/local/picky", json={}, timeout=30)
        assert direct.json()["error_type"] == "runner_scheduling_failure"
        assert "no weights" in failure(server)
        assert "Traceback" in failure(server)
        how.write_text("die")
        wait_until(lambda: "last words" in failure(server), 30)
        assert status(given)["status"] == "IN_QUEUE"
        how.write_text("work")
        assert result(given, 60).json() == 1


@pytest.mark.slow
def test_a_queued_request_waits_for_a_setup_as_long_as_it_may_take(tmp_path: Path) -> None:
    """trust T45: the start's own limit ends it, with a reason."""
    app = write(tmp_path, "picky.py", PICKY.replace("SECONDS", "3"))
    (tmp_path / "how").write_text("hang")
    with serve(app, data_dir=tmp_path / "data", store_reserve=0) as server:
        given = submit(server.url, "picky")
        slow = httpx2.post(f"{server.url}/local/picky", json={}, timeout=60)
        assert slow.json()["error_type"] in {"startup_timeout", "runner_scheduling_failure"}
        assert "not ready after 3 s" in failure(server)
        answer = result(given, 60)
        assert (answer.status_code, answer.json()["error_type"]) == (504, "startup_timeout")


# --- 6, 8: hangs and leavers ---


SLOW = [pytest.param(path, marks=pytest.mark.slow) for path in ("block-loop", "stubborn")]


@pytest.mark.parametrize("path", ["c-call", "hold-gil", *SLOW])
def test_code_that_cannot_be_stopped_ends_with_its_runner(server: Server, path: str) -> None:
    """And what else ran there is run again."""
    pid, _ = pids(server.url)
    hung = submit(server.url, f"busy/{path}", {"seconds": 120})
    until(hung, "IN_PROGRESS")
    time.sleep(0.3)
    if path in {"hold-gil", "block-loop"}:
        beside = None
    else:
        beside = submit(server.url, "busy/c-call", {"seconds": 2.5, "name": "beside"})
        until(beside, "IN_PROGRESS")
    began = time.monotonic()
    assert httpx2.put(hung["cancel_url"]).status_code == 202
    assert until(hung, "COMPLETED")["error_type"] == "client_cancelled"
    wait_until(lambda: gone(pid), 15)
    assert time.monotonic() - began < 12
    if beside is not None:
        assert result(beside).status_code == 200
        shown = httpx2.get(f"{server.url}/admin/requests/{beside['request_id']}").json()
        assert shown["attempt"] == 2
    assert pids(server.url)[0] != pid


@pytest.mark.slow
def test_a_request_over_its_time_frees_its_place_only_when_its_code_has_ended(
    server: Server,
) -> None:
    url = f"{server.url}/local/single"
    pid = httpx2.post(url, json={}).json()["pid"]
    late = httpx2.post(url, json={"seconds": 60}, timeout=30)
    assert (late.status_code, late.json()["error_type"]) == (504, "request_timeout")
    after = httpx2.post(url, json={}, timeout=30).json()
    assert after["pid"] != pid, "it sleeps in C, and ended with its runner"
    stuck = httpx2.post(f"{url}/block-loop", json={"seconds": 60}, timeout=30)
    assert stuck.status_code == 504
    wait_until(lambda: gone(after["pid"]), 15)


def test_who_leaves_stops_a_direct_call_and_not_a_queued_one(server: Server) -> None:
    url = f"{server.url}/local/busy"
    httpx2.post(f"{url}/stopped", timeout=30)  # its runner is there
    queued = submit(server.url, "busy", {"seconds": 1, "name": "stays"})
    for path, word in (("async", "gone cancelled"), ("loop", "gone interrupted")):
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{url}/{path}", json={"seconds": 60, "name": "gone"}, timeout=2)
        wait_until(lambda word=word: httpx2.post(f"{url}/stopped").json() == word, 10)
    with httpx2.stream("POST", f"{url}/astream", json={"count": 10_000}, timeout=10) as stream:
        next(stream.iter_bytes())
    wait_until(lambda: httpx2.post(f"{url}/stopped").json() == "stream closed", 5)
    assert result(queued).json()["name"] == "stays"


def test_callers_who_leave_before_they_are_served_leave_no_trace(server: Server) -> None:
    url = f"{server.url}/local/single"
    threads = []
    for _ in range(20):

        def leave() -> None:
            with suppress(httpx2.HTTPError):
                httpx2.post(url, json={"seconds": 1}, timeout=0.3)

        threads.append(threading.Thread(target=leave))
        threads[-1].start()
    for thread in threads:
        thread.join()
    wait_until(lambda: httpx2.post(url, json={}, timeout=30).status_code == 200)
    apps = httpx2.get(f"{server.url}/admin/status").json()["apps"]
    assert apps["local/single"]["waiting"] == 0


# --- 5, 7: no room ---


@ROOT
def test_a_full_disk_under_the_queue_is_a_507_and_passes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(state)):
        settings = {"data_dir": tmp_path / "data", "state_dir": state, "store_reserve": 0}
        store = (tmp_path / "store").as_uri()
        with serve(APP, store=store, **settings) as server:
            at_work = submit(server.url, "busy", {"seconds": 2, "name": "at work"})
            until(at_work, "IN_PROGRESS")
            filler = state / "filler"
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            body = {"name": "y" * 100_000}
            refused = [httpx2.post(f"{server.url}/queue/local/busy", json=body) for _ in range(40)]
            assert refused[-1].status_code == 507
            assert "disk is full" in refused[-1].json()["detail"]
            kept = [answer.json() for answer in refused if answer.status_code == 200]
            time.sleep(2)
            filler.unlink()
            assert result(at_work).json()["name"] == "at work"
            for given in kept:
                assert result(given).status_code == 200
            assert result(submit(server.url, "busy", {"name": "after"})).json()["name"] == "after"


def test_a_runner_has_no_more_memory_than_it_may(tmp_path: Path) -> None:
    code = """
        import resource
        import towpath
        class Hungry(towpath.App):
            @towpath.endpoint("/")
            def run(self, megabytes: int) -> int:
                return len(bytearray(megabytes * 2**20))
            @towpath.endpoint("/limits")
            def limits(self) -> int:
                return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    """
    app = write(tmp_path, "hungry.py", code)
    limits = {"runner_memory_bytes": "1GiB", "runner_open_files": 1000}
    with serve(app, data_dir=tmp_path / "data", store_reserve=0, **limits) as server:
        url = f"{server.url}/local/hungry"
        assert httpx2.post(url, json={"megabytes": 50}).status_code == 200
        assert httpx2.post(f"{url}/limits").json() == 1000
        given = submit(server.url, "hungry", {"megabytes": 4000})
        done = until(given, "COMPLETED", 60)
        assert done["error_type"] == "oom"
        assert httpx2.post(url, json={"megabytes": 50}, timeout=30).status_code == 200
