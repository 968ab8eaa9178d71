"""Runners that are forked from a template are what executed ones are, and come sooner."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from tests.support.command import wait_until, write

from towpath import settings as settings_room
from towpath.engine.process import ChildProcess
from towpath.engine.template import Templates
from towpath.gateway.server import RunningServer, run_server
from towpath.runner.strays import MARK
from towpath.testing import Server, serve
from towpath.web.serving import run_loop

REPORT = """
    import multiprocessing, os, random, resource, signal, sys, tempfile, threading
    import towpath

    BEFORE = set(sys.modules)
    CHANGING = {"_TOWPATH_RUNNER", "TOWPATH_PORT", "TOWPATH_PUBLIC_URL", "TOWPATH_CDN_URL"}

    def kind(number: str) -> str:
        kind = os.readlink(f"/proc/self/fd/{number}").partition(":")[0]
        return "crash" if kind.endswith("/crash") else kind  # in the runner's own folder

    class Report(towpath.App, machine_type="XS"):
        @towpath.endpoint("/")
        def run(self) -> dict:
            status = dict(
                line.split(":", 1) for line in open("/proc/self/status").read().splitlines()
            )
            numbers = [n for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")]
            return {
                "arguments": [word for word in sys.argv[1:] if not word.isdigit()],
                "command": [word for word in sys.orig_argv if not word.isdigit()],
                "shown": [word for word in open("/proc/self/cmdline").read().split("\\0") if word],
                "flags": repr(sys.flags),
                "path": sys.path,
                "main": vars(sys.modules["__main__"]).get("__file__"),
                "environment": {n: v for n, v in os.environ.items() if n not in CHANGING},
                "folder": os.getcwd(),
                "temp": tempfile.gettempdir(),
                "descriptors": sorted(map(kind, numbers)),
                "signals": [status[name] for name in ("SigIgn", "SigCgt", "SigBlk")],
                "handlers": [repr(signal.getsignal(n)).partition(" at ")[0] for n in (2, 15, 17, 1)],
                "limits": [resource.getrlimit(n) for n in range(16)],
                "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
                "threads": sorted(thread.name for thread in threading.enumerate()),
                "imported": sorted(set(sys.modules) - BEFORE),
                "drawn": [random.random(), os.urandom(4).hex()],
                "secret": multiprocessing.current_process().authkey.hex(),
                "pid": os.getpid(),
                "mark": os.environ["_TOWPATH_RUNNER"],
            }
"""
OWN = ("drawn", "secret", "pid", "mark", "imported", "command", "shown")


def executed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Templates, "of", lambda *_: None)


def reports(folder: Path, count: int) -> list[dict[str, Any]]:
    """Have an app report how it is, on so many runners one after the other."""
    with serve(write(folder, "report.py", REPORT), data_dir=folder / "data", store_reserve=0) as it:
        return [report(it) for _ in range(count)]


def report(server: Server) -> dict[str, Any]:
    """Have a runner report, and end."""
    told = httpx2.post(f"{server.url}/local/report", json={}, timeout=60).json()
    told["seen"] = psutil.Process(told["pid"]).environ()[MARK]
    os.kill(told["pid"], signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(told["pid"]))
    return told


def test_a_forked_runner_is_as_an_executed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked, again = reports(tmp_path, 2)
    executed_only(monkeypatch)
    (executed,) = reports(tmp_path, 1)
    assert {n: v for n, v in forked.items() if n not in (*OWN, "seen")} == {
        n: v for n, v in executed.items() if n not in (*OWN, "seen")
    }
    for each in (forked, again, executed):
        assert each["command"][1:4] == ["-P", "-m", "towpath.runner"]
        assert [word for word in each["shown"] if not word.isdigit()] == each["command"]
        assert each["seen"] == each["mark"]
    assert forked["mark"] != again["mark"]
    for each in ("drawn", "secret"):
        assert forked[each] != again[each], "two runners draw the same"


def test_a_forked_runner_imports_nothing_of_ours_by_its_first_answer(tmp_path: Path) -> None:
    assert reports(tmp_path, 1)[0]["imported"] == []


CODE = """
    import json, os, signal, subprocess, sys, time
    from pathlib import Path

    told = Path(os.environ["TOLD"])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    print("printed", flush=True)
    print("complained", file=sys.stderr, flush=True)
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    told.with_suffix(".new").write_text(json.dumps({
        "pid": os.getpid(), "guardian": os.getppid(), "environment": os.environ["TOLD"],
        "given": os.read(int(sys.argv[-1]), 100).decode(),
    }))
    told.with_suffix(".new").rename(told)
    while not told.with_suffix(".go").exists():
        time.sleep(0.02)
    end = os.environ["END"]
    if end == "wait":
        time.sleep(600)
    elif end == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    os._exit(int(end))
"""


class Started:
    """A process that was started in one of the ways, what it has told, and what it printed."""

    def __init__(self, process: ChildProcess, told: dict[str, Any], out: int, err: int) -> None:
        self.process = process
        self.told = told
        self.below = psutil.Process(told["guardian"]).children(recursive=True)
        self._ends = out, err

    def printed(self) -> list[str]:
        found = []
        for end in self._ends:
            with os.fdopen(end) as pipe:
                found.append(pipe.read())
        return found

    def is_gone(self) -> bool:
        return not any(
            each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in self.below
        )


Story = Callable[[Started], Awaitable[None]]
Play = Callable[[Story, str], None]


@pytest.fixture(params=["forked", "executed"])
def played(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Play]:
    """Play a story with a process that ends as is said; each way of starting keeps the contract."""
    settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0)
    code, told = write(tmp_path, "code.py", CODE), tmp_path / "told"
    env = settings.environment_of_runner() | {"TOLD": str(told), MARK: "mine"}
    templates = Templates()

    async def run(story: Story, end: str) -> None:
        template = templates.of(sys.executable, env) if request.param == "forked" else None
        assert (template is None) == (request.param == "executed")
        (given, give), (out, out_end), (err, err_end) = os.pipe(), os.pipe(), os.pipe()
        os.write(give, b"a word")
        process = await ChildProcess.start(
            (sys.executable, "-P", "-m", "towpath.runner", code, "--describe", str(given)),
            descriptors=(given,),
            env=env | {"END": end},
            outputs=(out_end, err_end),
            template=template,
        )
        for number in (given, give, out_end, err_end):
            os.close(number)
        async with asyncio.timeout(30):
            while not told.exists():
                await asyncio.sleep(0.02)
            started = Started(process, json.loads(told.read_text()), out, err)
            told.with_suffix(".go").touch()
            await story(started)

    yield lambda story, end: asyncio.run(run(story, end))
    templates.end()


@pytest.mark.parametrize(("end", "status"), [("0", 0), ("3", 3), ("signal", -signal.SIGSEGV)])
def test_a_process_tells_how_it_has_ended(played: Play, end: str, status: int) -> None:
    async def story(started: Started) -> None:
        assert started.told["pid"] == started.process.pid
        assert started.told["given"] == "a word"
        assert await started.process.wait() == status
        assert started.process.returncode == status
        assert started.printed() == ["printed\n", "complained\n"]
        assert started.is_gone(), "what it started has ended before its end is told"

    played(story, end)


def test_a_process_that_is_asked_to_end_ends_in_its_own_way(played: Play) -> None:
    async def story(started: Started) -> None:
        started.process.terminate()
        assert await started.process.wait() == 7
        started.process.terminate()  # it has ended
        started.process.let_go()

    played(story, "wait")


def test_a_process_that_is_let_go_ends_with_all_that_it_started(played: Play) -> None:
    async def story(started: Started) -> None:
        assert started.process.returncode is None
        started.process.let_go()
        await started.process.wait()
        assert started.is_gone()

    played(story, "wait")


def test_a_guardian_that_is_killed_has_a_killed_process(played: Play) -> None:
    async def story(started: Started) -> None:
        os.kill(started.told["guardian"], signal.SIGKILL)
        assert await started.process.wait() == -signal.SIGKILL
        for each in started.below:
            if each.is_running() and each.pid != started.process.pid:
                each.kill()  # the engine finds it by its mark

    played(story, "wait")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0)
    return settings.environment_of_runner()


def test_a_template_is_made_once_for_one_environment(env: dict[str, str]) -> None:
    templates = Templates()
    first = templates.of(sys.executable, env | {MARK: "1", "CUDA_VISIBLE_DEVICES": "0"})
    assert first is not None
    assert templates.of(sys.executable, env | {MARK: "2"}) is first
    assert templates.of(sys.executable, env | {"PYTHONPATH": "/other"}) is not first
    assert templates.of("/another/python", env) is None
    templates.end()


def templates_here() -> set[psutil.Process]:
    found = set()
    for each in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            wait_until(each.cmdline)  # a process that was just executed has none for a moment
            found |= {each} if "--template" in each.cmdline() else set()
    return found


def test_a_template_that_was_killed_is_made_anew(env: dict[str, str]) -> None:
    templates, before = Templates(), templates_here()
    first = templates.of(sys.executable, env)
    assert first is not None
    (process,) = templates_here() - before
    process.kill()
    wait_until(lambda: not first.is_running)
    assert templates.of(sys.executable, env) not in {None, first}
    templates.end()


def test_a_template_ends_with_its_server(tmp_path: Path) -> None:
    before, seen = templates_here(), set[psutil.Process]()

    async def stop(running: RunningServer) -> None:
        await running.engine.settled()
        seen.update(templates_here() - before)
        running.group.stop()

    settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0, port=0)
    run_loop(run_server([write(tmp_path, "report.py", REPORT)], settings, stop))
    (template,) = seen
    wait_until(lambda: not template.is_running() or template.status() == psutil.STATUS_ZOMBIE)


def test_servers_of_one_process_of_tests_share_a_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its settings and the working folder that it is started in."""
    app, seen = write(tmp_path, "report.py", REPORT), []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with serve(app, data_dir=tmp_path / name, store_reserve=0) as server:
            told = httpx2.post(f"{server.url}/local/report", json={}, timeout=60).json()
            seen.append(psutil.Process(told["pid"]).parent().ppid())
            assert told["folder"] == str(tmp_path / name)
            assert told["environment"]["TOWPATH_DATA_DIR"] == str(tmp_path / name)
    assert seen[0] == seen[1] != os.getpid()
