"""The real command as a child process."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
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

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "towpath", "run", *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.env},
        )
        return self

    def wait_for(self, word: str, seconds: float = 40) -> str:
        """Read the output until *word* is in it."""
        deadline = time.monotonic() + seconds
        stream = self.process.stdout
        while word not in self.output:
            if not select.select([stream], [], [], 0.2)[0]:
                assert time.monotonic() < deadline, f"no {word!r} in: {self.output}"
                continue
            chunk = os.read(stream.fileno(), 65536).decode()
            assert chunk, f"ended without {word!r}: {self.output}"
            self.output += chunk
        return self.output

    @property
    def url(self) -> str:
        """Return the address of the first endpoint's server."""
        return re.search(r"API +(http://[^/]+)", self.output)[1]

    def runners(self) -> list[psutil.Process]:
        """Return the runner processes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [c for c in children if "towpath.runner" in " ".join(c.cmdline())]

    def send(self, sign: signal.Signals) -> None:
        self.process.send_signal(sign)

    def finish(self, seconds: float = 30) -> int:
        """Return the exit code."""
        rest, _ = self.process.communicate(timeout=seconds)
        self.output += rest.decode()
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
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


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
