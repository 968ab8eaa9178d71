"""A child process that async code waits for, under a guardian.

Started by `subprocess`, whose fork and exec run no Python code in between. uvloop's own way does,
and dead-locked when another thread held a lock at that moment.
"""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from towpath.runner import guardian
from towpath.runner.strays import MARK

__all__ = ["ChildProcess"]

_GUARDIAN = str(Path(guardian.__file__).absolute())


class ChildProcess:
    """A running program. What it starts ends with it, and it ends with us (`runner.guardian`).

    Args:
        popen: its guardian, which ends as the program ends.
        server: our end of the guardian's socket; when it closes, all is killed.
        pid: the program's process id.
    """

    def __init__(
        self, popen: "subprocess.Popen[bytes]", server: socket.socket, *, pid: int
    ) -> None:
        self.pid = pid
        self._popen = popen
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._reap, name=f"reap {self.pid}", daemon=True).start()

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        *,
        descriptors: Sequence[int],
        env: Mapping[str, str],
        outputs: tuple[int, int] | None = None,
    ) -> Self:
        """Start a program, as the leader of a session of its own.

        Args:
            arguments: the program and its arguments.
            descriptors: what it inherits besides the standard streams.
            env: its whole environment.
            outputs: its standard output and error; without them both are our standard error.
        """
        server, theirs = socket.socketpair()
        with theirs:
            try:
                popen = _guardian(theirs.fileno(), descriptors, env, outputs)
            except BaseException:
                server.close()
                raise
        try:
            asked = {"command": list(arguments), "environment": dict(env)}
            pid = await asyncio.to_thread(_told_pid, server, json.dumps(asked))
        except BaseException:
            server.close()  # the guardian ends
            threading.Thread(target=popen.wait, name="reap guardian", daemon=True).start()
            raise
        return cls(popen, server, pid=pid)

    @property
    def returncode(self) -> int | None:
        """Return its exit status, or None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Return its exit status once it has ended."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.returncode is None:
            self._popen.terminate()  # the guardian passes it on

    def let_go(self) -> None:
        """Have the guardian kill it, and all that it started."""
        self._server.close()

    def _reap(self) -> None:
        """Wait for the end, in a thread of its own."""
        status = self._popen.wait()
        self._server.close()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, status)

    def _note(self, status: int) -> None:
        """Tell who waits."""
        if not self._ended.done():
            self._ended.set_result(status)


def _guardian(
    socket_end: int,
    descriptors: Sequence[int],
    env: Mapping[str, str],
    outputs: tuple[int, int] | None,
) -> "subprocess.Popen[bytes]":
    """Start a guardian, which waits to be told what to start."""
    out, err = outputs or (_our_stderr(), None)
    return subprocess.Popen(  # noqa: S603 - our own file
        (sys.executable, "-I", "-S", _GUARDIAN, str(socket_end)),
        pass_fds=(*descriptors, socket_end),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
        env=dict(env) | {MARK: ""},  # what sweeps strays leaves guardians to their work
    )


def _told_pid(server: socket.socket, asked: str) -> int:
    """Tell the guardian what to start; return the process id of what it has started.

    Raises:
        OSError: the guardian could not start it.
    """
    server.sendall(asked.encode() + b"\n")
    with server.makefile("rb") as answers:
        told = answers.readline()
    if not told:
        message = "The guardian of a runner ended before it could start the runner."
        raise OSError(message)
    return int(told)


def _our_stderr() -> int | None:
    """Return the stream that children print to: our standard output is for results."""
    return sys.__stderr__.fileno() if sys.__stderr__ else None
