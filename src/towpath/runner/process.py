"""What the process of a runner sets up before it loads the app's code."""

import json
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import psutil

__all__ = [
    "RunnerFolder",
    "end_group",
    "sweep_runners",
    "use_as_temp",
    "write_json",
]

_LONGEST_REPORT = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunnerFolder:
    """A runner's own folder.

    `tmp/` stands for `/tmp`, `failure` says why it could not start, `crash` where its code was when
    it crashed.
    """

    path: Path

    @classmethod
    def create(cls, runners: Path) -> "RunnerFolder":
        """Make the folder of this process; `tempfile` and child processes use it as TMPDIR."""
        started = int(psutil.Process().create_time())
        folder = cls(runners / f"{os.getpid()}-{started}")
        folder.temp.mkdir(parents=True, mode=0o700, exist_ok=True)
        use_as_temp(folder.temp)
        return folder

    @property
    def temp(self) -> Path:
        """Return the temp folder."""
        return self.path / "tmp"

    @property
    def failure(self) -> Path:
        """Return where a failed start is written down."""
        return self.path / "failure"

    @property
    def crash(self) -> Path:
        """Return where the stacks of a crash are written down."""
        return self.path / "crash"

    def crash_report(self) -> str:
        """Return the stacks of a crash, the end of them if they are long; '' without any."""
        try:
            with self.crash.open("rb") as file:
                file.seek(max(0, self.crash.stat().st_size - _LONGEST_REPORT))
                return file.read(_LONGEST_REPORT).decode(errors="replace")
        except OSError:
            return ""

    @classmethod
    def of(cls, runners: Path, pid: int) -> "RunnerFolder | None":
        """Return the folder of the process *pid*, if it made one."""
        return next((cls(path) for path in runners.glob(f"{pid}-*")), None)


def use_as_temp(folder: Path) -> None:
    """Have `tempfile` and child processes put what is temporary into *folder*."""
    tempfile.tempdir = str(folder)
    os.environ["TMPDIR"] = str(folder)  # noqa: TID251 - told to the app's own children


def sweep_runners(runners: Path) -> int:
    """Remove folders of runners that are gone, and end what they left running."""
    removed = 0
    for folder in runners.glob("*-*") if runners.is_dir() else ():
        pid, _, started = folder.name.partition("-")
        if not (pid.isdigit() and started.isdigit()) or _is_alive(int(pid), int(started)):
            continue
        end_group(int(pid))
        rmtree(folder, ignore_errors=True)
        removed += 1
    return removed


def _is_alive(pid: int, started: int) -> bool:
    """Return whether the process that made a folder still runs; a zombie does not."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 2  # noqa: PLR2004 - seconds
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_group(pid: int) -> None:
    """Kill what is left of the process group *pid*; its leader must be gone or ours."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def write_json(descriptor: int, content: object) -> None:
    """Write *content* to the pipe that the server reads."""
    with os.fdopen(descriptor, "w") as pipe:
        json.dump(content, pipe)
