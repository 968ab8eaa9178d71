"""Two servers on one queue in PostgreSQL; the database restarted under them."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.queue.conftest import emptied
from tests.support.command import Command, wait_until
from tests.support.postgres import Postgres, running_postgres
from tests.support.queued import result, submit, until

APP = str(Path(__file__).parents[1] / "support" / "queue_app.py")
pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


def run(tmp_path: Path, name: str, database: Postgres) -> Command:
    flags = ("--port", "0", "--data-dir", str(tmp_path / name))
    env = {"TOWPATH_STORE_RESERVE": "0", "TOWPATH_DATABASE": database.url}
    return Command(f"{APP}::Single", *flags, env=env)


def test_two_servers_share_the_work_and_read_each_others_answers(tmp_path, database) -> None:
    emptied(database.url)
    with run(tmp_path, "a", database) as a, run(tmp_path, "b", database) as b:
        for server in (a, b):
            server.wait_for("ready in")
        given = [submit(a.url, "single", {"seconds": 0.3, "name": str(n)}) for n in range(8)]
        answers = [result(each).json() for each in given]
        assert [answer["name"] for answer in answers] == [str(n) for n in range(8)]
        assert len({answer["pid"] for answer in answers}) == 2
        there = given[0]["response_url"].replace(a.url, b.url)
        assert httpx2.get(there).json() == answers[0]
        long = submit(a.url, "single", {"seconds": 1.5})
        until(long, "IN_PROGRESS")
        assert httpx2.put(long["cancel_url"].replace(a.url, b.url)).status_code == 202
        assert until(long, "COMPLETED")["error_type"] == "client_cancelled"


def test_a_server_that_stops_for_long_loses_its_requests_and_its_say(tmp_path, database) -> None:
    """SIGSTOP for longer than a lease: another takes over, and the late answer counts nothing."""
    emptied(database.url)
    with run(tmp_path, "a", database) as a:
        a.wait_for("ready in")
        given = submit(a.url, "single", {"seconds": 1.9, "name": "x"})
        until(given, "IN_PROGRESS")
        a.send(signal.SIGSTOP)
        with run(tmp_path, "b", database) as b:
            b.wait_for("ready in")
            there = {k: str(v).replace(a.url, b.url) for k, v in given.items()}
            runner = b.runners()[0].pid
            answer = result(there, 90).json()
            assert answer["pid"] == runner, "the other one did it"
            a.send(signal.SIGCONT)
            time.sleep(3)
            assert httpx2.get(there["response_url"]).json() == answer
            shown = httpx2.get(f"{b.url}/admin/requests/{given['request_id']}").json()
            assert shown["attempt"] == 2


def test_a_database_that_restarts_loses_nothing(tmp_path, database) -> None:
    emptied(database.url)
    with run(tmp_path, "a", database) as a:
        a.wait_for("ready in")
        given = [submit(a.url, "single", {"seconds": 0.2, "name": str(n)}) for n in range(20)]
        until(given[3], "COMPLETED")
        database.restart()
        given += [submit(a.url, "single", {"name": str(n)}, timeout=60) for n in range(20, 25)]
        answers = [result(each, 90).json() for each in given]
        assert [answer["name"] for answer in answers] == [str(n) for n in range(25)]
        attempts = [
            httpx2.get(f"{a.url}/admin/requests/{each['request_id']}").json()["attempt"]
            for each in given
        ]
        assert max(attempts) == 1, "none was claimed twice"


def test_a_database_that_is_away_is_a_503(tmp_path, database) -> None:
    emptied(database.url)
    with run(tmp_path, "a", database) as a:
        a.wait_for("ready in")
        database.stop()
        answer = httpx2.post(f"{a.url}/queue/local/single", json={}, timeout=60)
        assert answer.status_code == 503
        assert "Try again" in answer.json()["detail"]
        assert httpx2.post(f"{a.url}/local/single", json={}).status_code == 200
        database.start()
        wait_until(lambda: result(submit(a.url, "single", timeout=60), 60).status_code == 200)


def test_direct_calls_need_no_database(tmp_path, database) -> None:
    """trust T50: it is stopped with work in hand, and the work's place is free when it is done."""
    emptied(database.url)
    with run(tmp_path, "a", database) as a:
        a.wait_for("ready in")
        url = f"{a.url}/local/single"
        at_work = submit(a.url, "single", {"seconds": 1.5, "name": "at work"})
        until(at_work, "IN_PROGRESS")
        submit(a.url, "single", {"name": "waits"})
        database.stop()
        for _ in range(10):
            assert httpx2.post(url, json={}, timeout=10).status_code == 200
        assert httpx2.get(f"{a.url}/health", timeout=5).status_code == 200
        database.start()
        assert result(at_work, 90).json()["name"] == "at work"
