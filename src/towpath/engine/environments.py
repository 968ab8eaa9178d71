"""An app's own packages: an environment for each list of requirements, laid over ours."""

import asyncio
import fcntl
import hashlib
import logging
import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from towpath.clock import system_clock
from towpath.engine.output import log_output
from towpath.engine.pipes import Event, Pipes
from towpath.engine.process import ChildProcess
from towpath.errors import RequirementsError
from towpath.errors.redaction import shown
from towpath.runner.process import end_group
from towpath.settings import Settings

__all__ = ["environment_of", "python_of"]

log = logging.getLogger(__name__)

_INSTALL_SECONDS = 1800
_LOCK_SECONDS = 0.2
_BEAT_SECONDS = 10.0
_LAST_LINES = 20
_READY = "towpath-ready"


def environment_of(requirements: Sequence[str], settings: Settings) -> Path:
    """Return the folder of the environment for *requirements*, whether it is there or not.

    Its name follows from the requirements and from this Python, so that two apps that want the
    same share one.
    """
    ours = (sys.version, sys.prefix, *sorted(requirements))
    digest = hashlib.sha256("\n".join(ours).encode()).hexdigest()[:32]
    return settings.data_dir / ".towpath" / "envs" / digest


async def python_of(app: str, requirements: Sequence[str], settings: Settings) -> str:
    """Return the Python that an app runs with; its packages are installed where they are not yet.

    Raises:
        RequirementsError: they cannot be installed; its traceback is the installer's last lines.
    """
    if not requirements:
        return sys.executable
    folder = environment_of(requirements, settings)
    if not (folder / _READY).exists():
        try:
            await _made(app, folder, requirements, settings)
        except OSError as error:
            reason = f"{folder} cannot be made ({error.strerror or error})"
            raise RequirementsError(app, reason) from None
    return str(folder / "bin" / "python")


async def _made(app: str, folder: Path, requirements: Sequence[str], settings: Settings) -> None:
    """Make the environment; who comes second waits for the first."""
    await asyncio.to_thread(folder.parent.mkdir, parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        await _locked(lock.fileno())
        if (folder / _READY).exists():
            return
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        log.info("installing requirements", extra={"app": app, "folder": str(folder)})
        began = asyncio.get_running_loop().time()
        beats = asyncio.create_task(_tell_that_it_lasts(app, began))
        try:
            for command in _commands(folder, requirements):
                await _run(app, command, settings)
        finally:
            beats.cancel()
        (_packages(folder) / "towpath-below.pth").write_text(_below())
        (folder / _READY).touch()
        seconds = round(asyncio.get_running_loop().time() - began, 1)
        log.info("requirements are installed", extra={"app": app, "seconds": seconds})


async def _locked(descriptor: int) -> None:
    """Lock a file; a thread that waits for a lock could not be cancelled."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOCK_SECONDS)
        else:
            return


async def _tell_that_it_lasts(app: str, began: float) -> None:
    """Log now and then that packages are still being installed."""
    while True:
        await asyncio.sleep(_BEAT_SECONDS)
        seconds = round(asyncio.get_running_loop().time() - began)
        log.info("still installing requirements", extra={"app": app, "seconds": seconds})


def _below() -> str:
    """Return the .pth file that adds our packages after the environment's own.

    By `addsitedir`, because ours may be found by .pth files themselves (an editable install).
    """
    paths = dict.fromkeys([sysconfig.get_path("purelib"), *site.getsitepackages()])
    return "".join(f"import site; site.addsitedir({path!r})\n" for path in paths)


def _packages(folder: Path) -> Path:
    """Return where the environment has its packages."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))


def _commands(folder: Path, requirements: Sequence[str]) -> list[list[str]]:
    """Return what makes the environment: uv where it is installed, else venv and pip."""
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.defpath)))
    uv = uv or shutil.which("uv")
    if uv is not None:
        making = [uv, "venv", "--quiet", "--python", sys.executable, str(folder)]
        return [making, [uv, "pip", "install", "--python", python, *requirements]]
    making = [sys.executable, "-P", "-m", "venv", str(folder)]
    return [
        making,
        [python, "-P", "-m", "pip", "install", "--disable-pip-version-check", *requirements],
    ]


async def _run(app: str, command: Sequence[str], settings: Settings) -> None:
    """Run one step; what it prints is logged.

    Raises:
        RequirementsError: it failed.
    """
    started = list[ChildProcess]()

    def tell(event: Event) -> None:
        log_output(app, started[0].pid if started else 0, event)

    pipes = Pipes(tell, system_clock)
    ends = pipes.open()
    env = settings.environment_of_runner()
    try:
        process = await ChildProcess.start(
            command, descriptors=(), env=env, outputs=(ends.out, ends.err)
        )
    except BaseException:
        pipes.drop()
        raise
    finally:
        ends.close()
    started.append(process)
    pipes.start()
    try:
        status = await asyncio.wait_for(process.wait(), _INSTALL_SECONDS)
    except TimeoutError:
        reason = f"installing took longer than {_INSTALL_SECONDS} s"
        raise RequirementsError(app, reason, traceback=pipes.tail()) from None
    finally:
        end_group(process.pid)
    said = await asyncio.to_thread(pipes.tail)
    if status:
        lines = said.splitlines()[-_LAST_LINES:]
        reason = shown(
            next((line.strip() for line in reversed(lines) if line.strip()), "no reason")
        )
        raise RequirementsError(app, reason.rstrip("."), traceback="\n".join(lines) + "\n")
