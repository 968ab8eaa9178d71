"""Runners that are replaced, drained and kept apart."""

import json
import signal
import sqlite3
import threading
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.journeys.test_failures import APP, gone, pids, run
from tests.support.command import Command, wait_until, write
from tests.support.queued import result, submit, until

from towpath.testing import serve


def test_new_code_serves_and_the_old_finishes_broken_code_changes_nothing(tmp_path: Path) -> None:
    code = """
        import os
        import time
        import towpath
        from pathlib import Path
        class Versioned(towpath.App, max_multiplexing=4):
            @towpath.endpoint("/")
            def run(self, held: bool = False) -> int:
                data = Path(os.environ["TOWPATH_DATA_DIR"])
                while held and not (data / "released").exists():
                    (data / "begun").touch()
                    time.sleep(0.02)
                return 1
    """
    app = write(tmp_path, "versioned.py", code)
    with run(tmp_path, "--reload", app=app) as command:
        command.wait_for("ready in")
        url = f"{command.url}/local/versioned"
        answers: list[int] = []
        old = threading.Thread(
            target=lambda: answers.append(httpx2.post(url, json={"held": True}, timeout=60).json())
        )
        old.start()
        wait_until((tmp_path / "data/begun").exists)
        write(tmp_path, "versioned.py", code.replace("return 1", "return 2"))
        wait_until(lambda: httpx2.post(url, json={}, timeout=30).json() == 2)
        assert answers == [], "the old one is still at work"
        (tmp_path / "data/released").touch()
        old.join()
        assert answers == [1]
        write(tmp_path, "versioned.py", code.replace("return 1", "return ="))
        command.wait_for("the running code is kept")
        assert httpx2.post(url, json={}).json() == 2


def test_a_server_told_to_stop_finishes_tears_down_and_leaves_nothing(tmp_path: Path) -> None:
    with run(tmp_path, app=f"{APP}::Busy") as command:
        command.wait_for("ready in")
        url = command.url
        pid, child = pids(url)
        folders = list((tmp_path / "data/.towpath/state/runners").iterdir())
        finishing = submit(url, "busy", {"seconds": 0.7, "name": "long"})
        hung = submit(url, "busy/c-call", {"seconds": 120})
        for each in (finishing, hung):
            until(each, "IN_PROGRESS")
        command.send(signal.SIGTERM)
        assert command.finish(40) == 0
        assert gone(pid)
        assert gone(child)
        assert (tmp_path / "data/torn-down").exists()
        assert not any(folder.exists() for folder in folders)
    database = sqlite3.connect(tmp_path / "data/.towpath/state/queue.db")
    rows = dict(database.execute("SELECT id, state FROM requests").fetchall())
    database.close()
    assert rows[finishing["request_id"]] == 4, "it was finished"
    assert rows[hung["request_id"]] == 1, "it waits for the next server"


@pytest.mark.parametrize("signals", [1, 2])
def test_a_call_that_waits_for_an_app_to_load_is_told_of_the_stop(
    tmp_path: Path, signals: int
) -> None:
    """One signal: a plain text 500 came; two: a 404, as if there were no such app."""
    app = write(tmp_path, "slow.py", "import time\ntime.sleep(600)")
    with run(tmp_path, app=f"{app}::Slow") as command:
        command.wait_for("Life")
        url = f"http://127.0.0.1:{port_of(tmp_path)}/local/slow"
        answers: list[httpx2.Response | httpx2.HTTPError] = []
        caller = threading.Thread(target=lambda: answers.append(answer_or_end(url)))
        caller.start()
        wait_until(lambda: connections(command) > 0)
        for _ in range(signals):
            command.send(signal.SIGINT)
            threading.Event().wait(0.5)
        caller.join()
        command.finish(40)
        assert "Traceback" not in command.output
    [answer] = answers
    if isinstance(answer, httpx2.Response):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "The server stops" in answer.json()["detail"]
    else:
        assert signals == 2, "who insists has the connections cut"


def port_of(folder: Path) -> int:
    """Return the port of the server whose state lies below *folder*."""
    told = json.loads((folder / "data/.towpath/state/server.json").read_text())
    return int(told["address"].rpartition(":")[2])


def connections(command: Command) -> int:
    """Return how many connections a server has open."""
    sockets = psutil.Process(command.process.pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED for each in sockets)


def answer_or_end(url: str) -> httpx2.Response | httpx2.HTTPError:
    """Call; return the answer, or how the connection ended."""
    try:
        return httpx2.post(url, json={}, timeout=60)
    except httpx2.HTTPError as error:
        return error


# --- /tmp ---


def test_two_runners_do_not_meet_in_tmp_and_share_data(tmp_path: Path) -> None:
    code = """
        import os, time
        from pathlib import Path
        import towpath
        class Twin(towpath.App, max_concurrency=2, min_concurrency=2):
            @towpath.endpoint("/")
            def run(self, text: str) -> list[str]:
                own, shared = Path("/tmp/towpath-own"), Path(os.environ["TOWPATH_DATA_DIR"], "shared")
                found = own.read_text() if own.exists() else ""
                own.write_text(text)
                with shared.open("a") as file:
                    file.write(text)
                time.sleep(1)
                return [str(os.getpid()), found, own.read_text(), os.environ["TMPDIR"]]
    """
    app = write(tmp_path, "twin.py", code)
    with serve(app, data_dir=tmp_path / "data", store_reserve=0) as server:
        wait_until(
            lambda: (
                httpx2.get(f"{server.url}/admin/status").json()["apps"]["local/twin"]["idle"] == 2
            )
        )
        given = [submit(server.url, "twin", {"text": text}) for text in ("one", "two")]
        (pid1, found1, own1, tmp1), (pid2, found2, own2, _) = (result(g).json() for g in given)
        assert pid1 != pid2
        assert (found1, found2) == ("", "")
        if tmp1 == "/tmp":  # mounts of their own are allowed here
            assert {own1, own2} == {"one", "two"}
            assert not Path("/tmp/towpath-own").exists()
        assert sorted((tmp_path / "data/shared").read_text()) == sorted("onetwo")
        runners = tmp_path / "data/.towpath/state/runners"
        assert len(list(runners.iterdir())) == 2
    assert list(runners.iterdir()) == [], "and it is gone with them"


def test_an_app_that_nobody_calls_has_no_runner_until_somebody_does(tmp_path: Path) -> None:
    code = """
        import towpath
        class Rare(towpath.App, keep_alive=1):
            @towpath.endpoint("/")
            def run(self) -> int:
                return 1
    """
    app = write(tmp_path, "rare.py", code)
    settings = {"data_dir": tmp_path / "data", "store_reserve": 0, "scale_to_zero": True}
    with serve(app, **settings) as server:

        def runners() -> int:
            status = httpx2.get(f"{server.url}/admin/status").json()["apps"]["local/rare"]
            return status["idle"] + status["busy"] + status["starting"]

        assert runners() == 0
        assert httpx2.get(f"{server.url}/ready").status_code == 200
        assert httpx2.post(f"{server.url}/local/rare", timeout=30).json() == 1
        assert runners() == 1
        wait_until(lambda: runners() == 0)
        assert result(submit(server.url, "rare")).json() == 1


def test_a_runner_that_says_it_is_not_well_is_replaced(tmp_path: Path) -> None:
    code = """
        import os
        import towpath
        check = towpath.HealthCheck(
            start_period_seconds=0, failure_threshold=1, call_regularly=False
        )
        class Sick(towpath.App):
            well = True
            @towpath.endpoint("/")
            def run(self, break_it: bool = False) -> int:
                if break_it:
                    self.well = False
                    raise RuntimeError
                return os.getpid()
            @towpath.endpoint("/check", health_check=check)
            def check(self) -> None:
                if not self.well:
                    raise RuntimeError
            def provide_hints(self) -> list[str]:
                return ["a", "b"]
    """
    app = write(tmp_path, "sick.py", code)
    with serve(app, data_dir=tmp_path / "data", store_reserve=0) as server:
        url = f"{server.url}/local/sick"
        answer = httpx2.post(url, json={})
        assert answer.headers["x-fal-runner-hints"] == "a,b"
        pid = answer.json()
        assert httpx2.post(url, json={"break_it": True}).status_code == 500
        wait_until(lambda: gone(pid))
        assert httpx2.post(url, json={}, timeout=30).json() != pid
