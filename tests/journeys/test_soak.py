"""Twenty minutes at four fifths of what the server can do, with kills, cancels and leavers."""

import os
import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.support.command import Command, wait_until, write

SECONDS = int(os.environ.get("SOAK_SECONDS", "1200"))
CALLERS = 6
CODE = """
    import time
    import towpath
    class Steady(towpath.App, max_concurrency=2, max_multiplexing=4, termination_grace_period_seconds=1):
        @towpath.endpoint("/")
        def run(self, name: str, seconds: float = 0.02) -> dict:
            print("working on", name)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(0.005)
            return {"name": name, "file": towpath.File.from_bytes(name.encode(), "text/plain", expires_in=60)}
"""


class Load:
    """Callers who queue, cancel, call and leave, at a rate; and what became of it."""

    def __init__(self, url: str) -> None:
        self.base = f"{url}/queue/local/steady"
        self.direct = f"{url}/local/steady"
        self.pause = 0.0
        self.counts: Counter[str] = Counter()
        self.submitted: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self._stop = threading.Event()

    def run(self, seconds: float) -> None:
        """Load the server for so long."""
        self._stop.clear()
        threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._stop.set()
        for thread in threads:
            thread.join()

    def _call(self) -> None:
        chance = random.Random()
        with httpx2.Client(timeout=60) as client:
            while not self._stop.is_set():
                drawn = chance.random()
                with suppress(httpx2.HTTPError):
                    if drawn < 0.7:
                        self._queue(client, f"n{chance.randrange(10**12)}", cancel=drawn < 0.05)
                    elif drawn < 0.75:
                        self._leave()
                    else:
                        answer = client.post(self.direct, json={"name": "direct"})
                        self.counts[f"direct {answer.status_code}"] += 1
                self._stop.wait(self.pause)

    def _queue(self, client: httpx2.Client, name: str, *, cancel: bool) -> None:
        given = client.post(self.base, json={"name": name}).json()
        self.submitted[given["request_id"]] = name
        if cancel:
            self.cancelled.add(given["request_id"])
            client.put(given["cancel_url"])
        while client.get(given["status_url"]).status_code == 202:
            if self._stop.wait(0.02):
                return

    def _leave(self) -> None:
        self.counts["left"] += 1
        httpx2.post(self.direct, json={"name": "gone", "seconds": 5}, timeout=0.1)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 600)
def test_memory_stays_flat_and_every_request_is_accounted_for(tmp_path: Path) -> None:
    app = write(tmp_path, "steady.py", CODE)
    env = {"TOWPATH_STORE_RESERVE": "0", "TOWPATH_LOG_LEVEL": "error"}
    with Command(app, "--port", "0", "--data-dir", str(tmp_path / "data"), env=env) as server:
        server.wait_for("ready in")
        load = Load(server.url)
        load.run(10)
        full = len(load.submitted) / 10
        load.pause = 0.25 * CALLERS / max(1.0, full / 0.7)  # a quarter more time for each call
        killer = Killer(server)
        killer.start()
        memory = watch(server, load, SECONDS)
        killer.stop()
        told = f"{len(load.submitted)} queued, {dict(load.counts)}, {killer.kills} kills"
        print(f"{told}; memory of the server in MiB: {memory}")
        wait_until(lambda: left(server.url) == 0, 120)
        check_processes(server, tmp_path)
        check_answers(server.url, load)
    check_rows(tmp_path, load)
    early, late = memory[len(memory) // 4], memory[-1]
    assert late < early * 1.15 + 5, memory


class Killer(threading.Thread):
    """Kills a runner now and then."""

    def __init__(self, server: Command) -> None:
        super().__init__()
        self.server, self.kills, self._stopped = server, 0, threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(random.uniform(5, 15)):
            with suppress(psutil.Error, IndexError):
                random.choice(self.server.runners()).kill()
                self.kills += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def watch(server: Command, load: Load, seconds: int) -> list[int]:
    """Load the server; return its memory in 20 moments."""
    process, found = psutil.Process(server.process.pid), []
    for _ in range(20):
        load.run(seconds / 20)
        found.append(round(process.memory_info().rss / 2**20))
    return found


def left(url: str) -> int:
    queue = httpx2.get(f"{url}/admin/status", timeout=30).json()["queue"]
    return queue["running"] + sum(queue["waiting"].values())


def check_processes(server: Command, tmp_path: Path) -> None:
    """No runner, folder or descriptor is left over."""
    wait_until(lambda: len(folders(tmp_path)) == len(server.runners()), 60)
    wait_until(lambda: len(server.runners()) <= 2, 60)  # one more while runners are killed
    assert psutil.Process(server.process.pid).num_fds() < 200


def folders(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "data/.towpath/state/runners").iterdir())


def check_answers(url: str, load: Load) -> None:
    """Each is answered with its own name, or was cancelled by us."""
    ended: Counter[str] = Counter()
    with httpx2.Client(timeout=60) as client:
        for request_id, name in load.submitted.items():
            answer = client.get(f"{load.base}/requests/{request_id}")
            if answer.status_code == 200:
                assert answer.json()["name"] == name
                ended["answered"] += 1
            elif answer.status_code == 503:
                assert answer.json()["error_type"] == "runner_disconnected"
                ended["told that its runner ended twice"] += 1
            else:
                assert answer.status_code == 499, (request_id, answer.text)
                assert request_id in load.cancelled
                ended["cancelled"] += 1
    print(dict(ended))
    assert sum(ended.values()) == len(load.submitted)
    assert set(load.counts) <= {"direct 200", "direct 503", "left"}, load.counts


def check_rows(tmp_path: Path, load: Load) -> None:
    """The tables have one row for each request, and nobody waits."""
    with sqlite3.connect(tmp_path / "data/.towpath/state/queue.db") as database:
        rows = database.execute("SELECT count(*) FROM requests").fetchone()[0]
        waiting = database.execute("SELECT coalesce(sum(waiting), 0) FROM lines").fetchone()[0]
        states = database.execute("SELECT DISTINCT state FROM requests").fetchall()
        answers = database.execute("SELECT count(*) FROM answers").fetchone()[0]
    database.close()
    assert rows >= len(load.submitted)
    assert answers == rows
    assert waiting == 0
    assert states == [(4,)]
