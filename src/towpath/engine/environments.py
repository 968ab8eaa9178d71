"""An app's own packages: an environment for each list of requirements, laid over ours."""

import asyncio
import fcntl
import hashlib
import logging
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from towpath.errors import AppSetupError
from towpath.settings import Settings

__all__ = ["environment_of", "python_of"]

log = logging.getLogger(__name__)

_INSTALL_SECONDS = 1800
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
        AppSetupError: they cannot be installed; its traceback is the installer's output.
    """
    if not requirements:
        return sys.executable
    folder = environment_of(requirements, settings)
    if not (folder / _READY).exists():
        log.info("installing requirements", extra={"app": app, "folder": str(folder)})
        env = settings.environment_of_runner()  # building a package runs its code
        await asyncio.to_thread(_made, app, folder, requirements, env)
    return str(folder / "bin" / "python")


def _made(app: str, folder: Path, requirements: Sequence[str], env: Mapping[str, str]) -> None:
    """Make the environment; who comes second waits for the first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _READY).exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        for command in _commands(folder, requirements):
            _run(app, command, env)
        (_packages(folder) / "towpath-below.pth").write_text(_below())
        (folder / _READY).touch()


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
    making = [sys.executable, "-m", "venv", str(folder)]
    return [making, [python, "-m", "pip", "install", "--disable-pip-version-check", *requirements]]


def _run(app: str, command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run one step.

    Raises:
        AppSetupError: it failed.
    """
    try:
        subprocess.run(  # noqa: S603 - the author's own requirements
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            env=dict(env),
        )
    except subprocess.CalledProcessError as error:
        raise AppSetupError(app, traceback=f"{error.stdout}{error.stderr}") from None
    except subprocess.TimeoutExpired:
        reason = f"installing took longer than {_INSTALL_SECONDS} s"
        raise AppSetupError(app, traceback=reason) from None
