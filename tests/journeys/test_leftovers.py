"""What an app starts ends with its runner, and with the server (trust T48)."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from tests.support.command import Command, wait_until, write

CODE = """
    import os, subprocess, sys, time
    from pathlib import Path
    import towpath

    def daemon() -> int:
        '''Fork twice, as daemons do; return the grandchild's process id.'''
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.setsid()
            grandchild = os.fork()
            if grandchild == 0:
                os.close(ours)
                os.write(theirs, str(os.getpid()).encode())
                time.sleep(600)
            os._exit(0)
        os.waitpid(child, 0)
        return int(os.read(ours, 100))

    class Starting(towpath.App, termination_grace_period_seconds=1):
        @towpath.endpoint("/")
        def start(self) -> dict:
            sleeping = ["sleep", "600"]
            tree = f"{sys.executable} -c 'import os, time; os.fork(); os.setsid(); time.sleep(600)' &"
            return {
                "runner": os.getpid(),
                "guardian": os.getppid(),
                "session": subprocess.Popen(sleeping, start_new_session=True).pid,
                "group": subprocess.Popen(sleeping, process_group=0).pid,
                "ordinary": subprocess.Popen(sleeping).pid,
                "shell": subprocess.Popen(["setsid", "-f", "sh", "-c", f"{tree} sleep 600"]).pid,
                "no environment": subprocess.Popen(sleeping, env={}, start_new_session=True).pid,
                "daemon": daemon(),
            }
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Command]:
    app = write(tmp_path, "starting.py", CODE)
    flags = ("--port", "0", "--data-dir", str(tmp_path / "data"))
    with Command(app, *flags, env={"TOWPATH_STORE_RESERVE": "0"}) as running:
        running.wait_for("ready in")
        yield running


def started(server: Command) -> tuple[dict[str, int], set[int]]:
    """Have the app start all that it can; return the processes by name, and all of the runner."""
    told = httpx2.post(f"{server.url}/local/starting", json={}, timeout=60).json()
    return told, below(told["guardian"]) | set(told.values())


def below(pid: int) -> set[int]:
    return {each.pid for each in psutil.Process(pid).children(recursive=True)}


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill_runner(server: Command, told: dict[str, int]) -> None:
    os.kill(told["runner"], signal.SIGKILL)


def kill_guardian(server: Command, told: dict[str, int]) -> None:
    os.kill(told["guardian"], signal.SIGKILL)


def kill_server(server: Command, told: dict[str, int]) -> None:
    server.process.kill()
    server.finish()


def stop_server(server: Command, told: dict[str, int]) -> None:
    server.send(signal.SIGTERM)
    assert server.finish() == 0


@pytest.mark.parametrize("end", [kill_runner, kill_server, stop_server])
def test_trust_t48_nothing_that_an_app_started_is_left(
    server: Command, end: Callable[[Command, dict[str, int]], None]
) -> None:
    told, theirs = started(server)
    ours = below(server.process.pid) if end is not kill_runner else set()
    end(server, told)
    wait_until(lambda: all(is_gone(pid) for pid in theirs | ours))


def test_trust_t48_a_guardian_that_is_killed_takes_its_runner_along(server: Command) -> None:
    told, theirs = started(server)
    kill_guardian(server, told)
    wait_until(lambda: all(is_gone(pid) for pid in theirs - {told["no environment"]}))
    os.kill(told["no environment"], signal.SIGKILL)
    again, _ = started(server)
    assert again["runner"] != told["runner"]


def test_trust_t48_the_next_server_ends_what_a_killed_guardian_and_server_left(
    server: Command, tmp_path: Path
) -> None:
    told, theirs = started(server)
    kill_guardian(server, told)
    kill_server(server, told)
    wait_until(lambda: is_gone(told["runner"]))
    os.kill(told["no environment"], signal.SIGKILL)
    with Command(*server.arguments, env=server.env) as second:
        second.wait_for("ready in")
        wait_until(lambda: all(is_gone(pid) for pid in theirs))


def kill_template(server: Command) -> None:
    for each in psutil.Process(server.process.pid).children():
        if "--template" in each.cmdline():
            each.kill()
            each.wait()


def test_a_template_that_is_killed_takes_no_runner_along(server: Command) -> None:
    told, theirs = started(server)
    kill_template(server)
    assert httpx2.post(f"{server.url}/local/starting", json={}).json()["runner"] == told["runner"]
    os.kill(told["runner"], signal.SIGKILL)
    wait_until(lambda: all(is_gone(pid) for pid in theirs))
    again, _ = started(server)
    assert again["runner"] != told["runner"]


def test_trust_t48_a_runners_status_is_told_through_its_guardian(server: Command) -> None:
    told, _ = started(server)
    os.kill(told["runner"], signal.SIGKILL)
    wait_until(lambda: is_gone(told["guardian"]))
    again, _ = started(server)
    assert again["runner"] != told["runner"]
