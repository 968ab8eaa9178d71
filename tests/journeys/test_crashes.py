"""kill -9: of the runner, of the server. What was promised before still holds."""

import os
import secrets
import signal
import tempfile
import threading
import time
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.support.command import Command, wait_until, write

APP = """
    import os, subprocess, time
    import towpath

    class Fragile(towpath.App, max_multiplexing=4):
        def setup(self):
            self.child = subprocess.Popen(["sleep", "600"])

        @towpath.endpoint("/")
        def make(self, text: str) -> towpath.File:
            return towpath.File.from_bytes(text.encode(), "text/plain")

        @towpath.endpoint("/slow")
        def slow(self, seconds: float) -> int:
            print("at work", flush=True)
            time.sleep(seconds)
            return 1

        @towpath.endpoint("/pids")
        def pids(self) -> list[int]:
            return [os.getpid(), self.child.pid]
"""


def run(tmp_path: Path, *flags: str) -> Command:
    file = write(tmp_path, "fragile.py", APP)
    data = str(tmp_path / "data")
    return Command(
        file, "--port", "0", "--data-dir", data, *flags, env={"TOWPATH_STORE_RESERVE": "0"}
    )


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_runner_killed_at_work_is_a_clear_503_and_the_next_request_works(tmp_path: Path) -> None:
    with run(tmp_path) as server:
        server.wait_for("ready in")
        url = f"{server.url}/local/fragile"
        pids = httpx2.post(f"{url}/pids").json()
        answers: list[httpx2.Response] = []
        call = threading.Thread(
            target=lambda: answers.append(
                httpx2.post(f"{url}/slow", json={"seconds": 30}, timeout=60)
            )
        )
        call.start()
        server.wait_for("at work")
        killed_at = time.monotonic()
        os.kill(pids[0], signal.SIGKILL)
        call.join(10)
        assert time.monotonic() - killed_at < 5
        assert answers[0].status_code == 503
        assert answers[0].json()["error_type"] == "runner_disconnected"
        assert answers[0].headers["x-fal-error-type"] == "runner_disconnected"
        assert "send the request again" in answers[0].json()["detail"]
        again = httpx2.post(url, json={"text": "back"}, timeout=30).json()
        assert httpx2.get(again["url"]).text == "back"
        wait_until(lambda: is_gone(pids[1]))


def test_a_server_killed_keeps_every_file_and_leaves_no_process(tmp_path: Path) -> None:
    saved = {}
    with run(tmp_path) as server:
        server.wait_for("ready in")
        url = f"{server.url}/local/fragile"
        for number in range(20):
            file = httpx2.post(url, json={"text": f"file {number}"}).json()
            saved[file["url"].partition("/files/")[2]] = f"file {number}"
        pids = httpx2.post(f"{url}/pids").json()
        server.send(signal.SIGKILL)
        server.finish()
        for pid in pids:
            wait_until(lambda pid=pid: is_gone(pid))
        dead = server.process.pid
    with run(tmp_path) as server:
        server.wait_for("ready in")
        for path, text in saved.items():
            assert httpx2.get(f"{server.url}/files/{path}").text == text
        folders = list((tmp_path / "data" / ".towpath" / "state" / "runners").iterdir())
        assert len(folders) == 1, "the dead runner's folder was swept"
        assert not list(Path(tempfile.gettempdir()).glob(f"towpath-{dead}-*"))


@pytest.mark.parametrize(
    "rounds", [3, pytest.param(30, marks=[pytest.mark.crash, pytest.mark.timeout(600)])]
)
def test_a_server_killed_at_random_moments_of_saves_loses_nothing(
    tmp_path: Path, rounds: int
) -> None:
    """What was answered is there after the restart; what was not left nothing behind."""
    saved: dict[str, str] = {}
    for round_ in range(rounds):
        with run(tmp_path) as server:
            server.wait_for("ready in")
            url = f"{server.url}/local/fragile"
            stop = threading.Event()

            def save(url: str = url, round_: int = round_, stop: threading.Event = stop) -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    text = f"{round_}-{threading.get_ident()}-{number}"
                    try:
                        file = httpx2.post(url, json={"text": text}).json()
                        saved[file["url"].partition("/files/")[2]] = text
                    except (httpx2.HTTPError, KeyError, ValueError):
                        return

            threads = [threading.Thread(target=save) for _ in range(3)]
            for thread in threads:
                thread.start()
            before = len(saved)
            wait_until(lambda before=before: len(saved) > before + 3)
            time.sleep(secrets.randbelow(700) / 1000)
            server.send(signal.SIGKILL)
            stop.set()
            for thread in threads:
                thread.join()
    with run(tmp_path) as server:
        server.wait_for("ready in")
        assert len(saved) > 10
        for path, text in saved.items():
            assert httpx2.get(f"{server.url}/files/{path}").text == text
        tmp = tmp_path / "data" / ".towpath" / "state" / "store" / "tmp"
        wait_until(lambda: not list(tmp.iterdir()))


def test_an_app_that_cannot_start_says_so_and_is_tried_again(tmp_path: Path) -> None:
    code = """
        from pathlib import Path
        import towpath
        class Picky(towpath.App):
            def setup(self):
                Path(__file__).with_name("allowed").read_text()
            @towpath.endpoint("/")
            def run(self) -> int:
                return 1
    """
    file = write(tmp_path, "picky.py", code)
    with Command(file, "--port", "0", "--data-dir", str(tmp_path / "data")) as server:
        output = server.wait_for("could not start")
        assert "FileNotFoundError" in output
        answer = httpx2.post(f"{server.url}/local/picky")
        assert answer.status_code == 503
        assert answer.json()["error_type"] == "runner_scheduling_failure"
        assert "Traceback" not in answer.text
        assert httpx2.get(f"{server.url}/ready").status_code == 503
        assert httpx2.get(f"{server.url}/health").status_code == 200
        (tmp_path / "allowed").write_text("yes")

        def works() -> bool:
            return httpx2.post(f"{server.url}/local/picky").status_code == 200

        wait_until(works)


def test_a_request_over_its_time_is_a_504_and_hung_code_is_replaced(tmp_path: Path) -> None:
    code = """
        import asyncio, os, time
        import towpath
        class Slow(towpath.App, request_timeout=0.5, request_start_timeout=0.3):
            @towpath.endpoint("/async")
            async def later(self) -> int:
                await asyncio.sleep(60)
            @towpath.endpoint("/hang")
            def hang(self) -> int:
                print("at work", flush=True)
                time.sleep(600)
            @towpath.endpoint("/pid")
            def pid(self) -> int:
                return os.getpid()
    """
    file = write(tmp_path, "slow.py", code)
    with Command(file, "--port", "0", "--data-dir", str(tmp_path / "data")) as server:
        server.wait_for("ready in")
        url = f"{server.url}/local/slow"
        answer = httpx2.post(f"{url}/async")
        assert (answer.status_code, answer.json()["error_type"]) == (504, "request_timeout")
        pid = httpx2.post(f"{url}/pid").json()
        hung = threading.Thread(target=lambda: httpx2.post(f"{url}/hang", timeout=60))
        hung.start()
        server.wait_for("at work")
        waiting = httpx2.post(f"{url}/pid", headers={"X-Fal-Request-Timeout": "0.2"})
        assert waiting.status_code == 504
        assert waiting.headers["x-fal-request-timeout-type"] == "user"
        hung.join(30)
        wait_until(lambda: is_gone(pid))
        wait_until(lambda: httpx2.post(f"{url}/pid", timeout=30).status_code == 200)


def test_work_of_callers_who_left_does_not_pile_up(tmp_path: Path) -> None:
    code = """
        import asyncio
        import towpath
        class Counting(towpath.App):
            running = 0
            @towpath.endpoint("/wait")
            async def wait(self) -> int:
                await asyncio.sleep(600)
            @towpath.endpoint("/")
            def run(self) -> int:
                return 1
    """
    file = write(tmp_path, "counting.py", code)
    with Command(file, "--port", "0", "--data-dir", str(tmp_path / "data")) as server:
        server.wait_for("ready in")
        url = f"{server.url}/local/counting"
        for _ in range(20):
            try:
                httpx2.post(f"{url}/wait", timeout=0.1)
            except httpx2.ReadTimeout:
                continue
        assert httpx2.post(url, timeout=5).json() == 1
