"""kill -9 of runners and servers at random moments, with requests on their way."""

import json
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.support.command import Command, wait_until, write
from tests.support.queued import submit

CODE = """
    import os, time
    from pathlib import Path
    import towpath
    class Marked(towpath.App, max_concurrency=2, max_multiplexing=4):
        @towpath.endpoint("/")
        def run(self, name: str) -> str:
            time.sleep(0.05)
            with Path(os.environ["TOWPATH_DATA_DIR"], "marks").open("a") as marks:
                marks.write(name + "\\n")
            return name
"""
CALLERS = 2


class Callers:
    """Submit requests until told to stop; keep which were taken."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.taken: dict[str, str] = {}
        self._headers = headers
        self._number = 0
        self._lock = threading.Lock()

    def start(self, url: str) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(url,)) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, url: str) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._number += 1
                name = f"n{self._number}"
            with suppress(httpx2.HTTPError, AssertionError):
                given = submit(url, "marked", {"name": name}, timeout=5, headers=self._headers)
                with self._lock:
                    self.taken[given["request_id"]] = name
            time.sleep(0.03)


def command(tmp_path: Path) -> Command:
    app = write(tmp_path, "marked.py", CODE)
    flags = ("--port", "0", "--data-dir", str(tmp_path / "data"))
    return Command(app, *flags, env={"TOWPATH_STORE_RESERVE": "0"})


def kill_some(server: Command, kills: int) -> set[int]:
    """Kill what is below the server, then the server; return the processes that were left."""
    for _ in range(kills - 1):
        time.sleep(0.05 + secrets.randbelow(300) / 1000)
        with suppress(psutil.Error, IndexError):
            secrets.choice(server.processes()).kill()
    time.sleep(secrets.randbelow(300) / 1000)
    left = {each.pid for each in server.processes()}
    server.process.kill()
    return left


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


TEN = {"X-Fal-Retry-Config": '{"connection_error": {"retries": 9}}'}
CRASH = [pytest.mark.crash, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    ("kills", "headers"),
    [
        (6, TEN),
        pytest.param(200, TEN, marks=CRASH),
        pytest.param(200, {}, marks=CRASH),
    ],
)
def test_no_request_is_lost_and_no_process_is_left(
    tmp_path: Path, kills: int, headers: dict[str, str]
) -> None:
    """trust T31: with ten tries each is answered; with two, or told that its runner ended."""
    callers, left, recoveries = Callers(headers), set[int](), []
    for number in range(0, kills, 5):
        began = time.monotonic()
        with command(tmp_path) as server:
            server.wait_for("ready in")
            recoveries.append(time.monotonic() - began)
            callers.start(server.url)
            left |= kill_some(server, min(5, kills - number))
            callers.stop()
            server.finish()
    wait_until(lambda: all(is_gone(pid) for pid in left))
    with command(tmp_path) as server:
        server.wait_for("ready in")
        wait_until(lambda: waiting(server.url) == 0, 300)
        answers = {name: answer(server.url, given) for given, name in callers.taken.items()}
    told = {name for name, got in answers.items() if got == "runner_disconnected"}
    lost = {name: got for name, got in answers.items() if got != name and name not in told}
    marks = (tmp_path / "data" / "marks").read_text().split()
    twice = len(marks) - len(set(marks))
    middle = sorted(recoveries)[len(recoveries) // 2]
    said = f"{len(callers.taken)} requests, {kills} kills: {len(lost)} lost, {twice} run twice"
    said += f", {len(told)} told that their runners ended twice"
    print(f"{said}; command to ready {middle:.2f} s (median), {max(recoveries):.2f} s (longest)")
    assert len(callers.taken) > kills
    assert lost == {}
    assert not (told and headers), "nine more tries are enough"
    assert set(callers.taken.values()) - told <= set(marks)
    assert twice <= kills * 8, "no more than were at work"


def waiting(url: str) -> int:
    queue = httpx2.get(f"{url}/admin/status", timeout=30).json()["queue"]
    return queue["running"] + sum(queue["waiting"].values())


def answer(url: str, request_id: str) -> str:
    """Return the answer, or the reason why there is none."""
    got = json.loads(httpx2.get(f"{url}/queue/local/marked/requests/{request_id}").text)
    return got["error_type"] if isinstance(got, dict) else got
