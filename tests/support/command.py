"""The real command as a child process."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


class Command:
    """`towpath run …` until the block ends."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.arguments = arguments
        self.env = env or {}
        self.output = ""
        self._came = threading.Condition()
        self._ended = False

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "towpath", "run", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.env},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def wait_for(self, word: str, seconds: float = 40) -> str:
        """Wait until *word* is in the output."""
        deadline = time.monotonic() + seconds
        with self._came:
            while word not in self.output:
                left = deadline - time.monotonic()
                assert left > 0, f"no {word!r} in: {self.output}"
                assert not self._ended, f"ended without {word!r}: {self.output}"
                self._came.wait(min(left, 0.5))
            return self.output

    def _read(self) -> None:
        """Take the output as it comes: a full pipe would stop the server."""
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            with self._came:
                self.output += chunk.decode(errors="replace")
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    @property
    def url(self) -> str:
        """Return the address of the first endpoint's server."""
        return re.search(r"API +(http://[^/]+)", self.output)[1]

    def runners(self) -> list[psutil.Process]:
        """Return the runner processes."""
        return [each for each in self.processes() if "--events" in _words(each)]

    def processes(self) -> list[psutil.Process]:
        """Return all processes below the server: runners, their guardians, their template."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def send(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)

    def finish(self, seconds: float = 30) -> int:
        """Return the exit code."""
        self.process.wait(seconds)
        self._reader.join(seconds)
        return self.process.returncode

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.finish(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.finish()
        self.process.stdout.close()


def _words(process: psutil.Process) -> str:
    """Return a process's command line; '' of one that is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_until(condition, seconds: float = 20) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def write(folder: Path, name: str, code: str) -> str:
    """Write a file of code; return its path."""
    from textwrap import dedent

    path = folder / name
    path.write_text(dedent(code))
    return str(path)
