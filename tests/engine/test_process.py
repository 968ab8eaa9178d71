"""Where a template cannot be forked, a process is executed, and nobody else is held up."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.support.command import wait_until, write

from towpath import settings as settings_room
from towpath.engine import process as process_room
from towpath.engine.process import ChildProcess
from towpath.engine.template import Template, Templates


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0)
    return settings.environment_of_runner()


@pytest.fixture
def templates() -> Iterator[Templates]:
    made = Templates()
    yield made
    made.end()


async def printed(template: Template | None, env: dict[str, str]) -> str:
    """Start what can be executed only; return what it prints."""
    out, out_end = os.pipe()
    with os.fdopen(out) as pipe:
        with os.fdopen(out_end, "w"):
            process = await ChildProcess.start(
                (sys.executable, "-c", "print('executed')"),
                descriptors=(),
                env=env,
                outputs=(out_end, out_end),
                template=template,
            )
        assert await process.wait() == 0
        return pipe.read()


def test_where_a_template_cannot_fork_a_process_is_executed(
    env: dict[str, str], templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Template, "fork", fork)
    template = templates.of(sys.executable, env)
    assert asyncio.run(printed(template, env)) == "executed\n"


def child_with(word: str) -> psutil.Process | None:
    """Return the child whose environment has *word*; a new one shows it after a moment."""
    for each in psutil.Process().children():
        with suppress(psutil.Error):
            if each.environ().get("WORD") == word:
                return each
    return None


def test_a_template_that_does_not_answer_is_killed_and_holds_up_nobody(
    env: dict[str, str], templates: Templates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_room, "_TEMPLATE_SECONDS", 3)
    env |= {"WORD": str(tmp_path)}
    template = templates.of(sys.executable, env)
    wait_until(lambda: child_with(str(tmp_path)))
    stopped = child_with(str(tmp_path))
    assert stopped is not None
    stopped.suspend()

    async def run() -> list[str]:
        starts = [asyncio.create_task(printed(template, env)) for _ in range(50)]
        await asyncio.sleep(0.1)
        other = asyncio.create_task(asyncio.to_thread(os.getpid))
        done, _ = await asyncio.wait({other, *starts}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {other}, "what needs a thread does not wait for the template"
        for each in starts[3:]:
            each.cancel()
        return await asyncio.gather(*starts[:3])

    try:
        assert asyncio.run(run()) == ["executed\n"] * 3
        wait_until(lambda: not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE)
    finally:
        with suppress(psutil.Error):
            stopped.kill()


THREADED = """
    import threading

    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


def test_a_template_in_which_somebody_starts_threads_is_not_forked(
    tmp_path: Path, env: dict[str, str], templates: Templates
) -> None:
    """Tracers do (`ddtrace-run`): locks that a thread holds stay held in a fork."""
    write(tmp_path, "sitecustomize.py", THREADED)
    env |= {"PYTHONPATH": str(tmp_path)}
    template = templates.of(sys.executable, env)
    assert template is not None
    assert asyncio.run(printed(template, env)) == "executed\n"
    wait_until(lambda: template.is_unfit)
    assert templates.of(sys.executable, env) is None, "it would be started in vain each time"


SLOW_TO_BECOME = """
    import signal, socket, sys, time

    from towpath.runner import guardian

    become, set_wakeup_fd = guardian._become_runner, signal.set_wakeup_fd

    def slowly(descriptor):
        set_wakeup_fd(descriptor)
        time.sleep(0.5)

    def become_slowly(number):
        signal.set_wakeup_fd = slowly
        become(number)

    guardian._become_runner = become_slowly
    guardian.guard(socket.socket(fileno=int(sys.argv[1])))
    time.sleep(60)
"""


def test_a_runner_that_is_asked_to_end_as_soon_as_it_is_there_ends(tmp_path: Path) -> None:
    """It has its guardian's handlers for a moment, which do nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = (sys.executable, write(tmp_path, "guarded.py", SLOW_TO_BECOME))
        descriptor = theirs.fileno()
        with subprocess.Popen((*command, str(descriptor)), pass_fds=(descriptor,)) as started:
            theirs.close()
            ours.settimeout(10)
            ours.sendall(b"{}\n")
            with ours.makefile("rb") as told:
                assert int(told.readline())
                ours.sendall(b"t")
                assert int(told.readline()) == -signal.SIGTERM
            assert started.wait(30) == -signal.SIGTERM


WITHOUT_STDERR = """
    import asyncio, os, sys

    from towpath import settings
    from towpath.engine import process
    from towpath.engine.template import Templates

    async def run(said):
        env = settings.load().environment_of_runner()
        forked = await process.ChildProcess.start(
            (sys.executable, "-P", "-m", "towpath.runner", "none.py", "--describe", str(said)),
            descriptors=(said,), env=env, outputs=(said, said),
            template=Templates().of(sys.executable, env),
        )
        await forked.wait()

    os.close(2)
    sys.stderr = sys.__stderr__ = None
    process._guardian = None  # nothing can be executed
    asyncio.run(run(os.open("said", os.O_CREAT | os.O_RDWR)))
"""


def test_a_server_without_standard_error_forks_too(tmp_path: Path) -> None:
    """Its template has no descriptor 2 otherwise, and takes the guardian's socket for it."""
    code = write(tmp_path, "start.py", WITHOUT_STDERR)
    subprocess.run([sys.executable, code], cwd=tmp_path, check=True, timeout=60)
    assert "none.py" in (tmp_path / "said").read_text()
