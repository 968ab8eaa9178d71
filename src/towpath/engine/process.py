"""A child process that async code waits for, under a guardian.

Started by `subprocess`, whose fork and exec run no Python code in between. uvloop's own way does,
and dead-locked when another thread held a lock at that moment.
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from towpath.engine.template import Template, closed_on_error, our_stderr
from towpath.runner import guardian
from towpath.runner.strays import MARK

__all__ = ["ChildProcess", "ending"]

_GUARDIAN = str(Path(guardian.__file__).absolute())
_TEMPLATE_SECONDS = 60.0  # for its imports, on a cold disk; runners are executed after that


class ChildProcess:
    """A running program. What it starts ends with it, and it ends with us (`runner.guardian`).

    Args:
        server: our end of the guardian's socket; when it closes, all is killed.
        pid: the program's process id.
        popen: its guardian, if that is a child of ours.
    """

    def __init__(
        self, server: socket.socket, *, pid: int, popen: "subprocess.Popen[bytes] | None"
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
        template: Template | None = None,
    ) -> Self:
        """Start a program, as the leader of a session of its own.

        Args:
            arguments: the program and its arguments.
            descriptors: what it inherits besides the standard streams.
            env: its whole environment.
            outputs: its standard output and error; without them both are our standard error.
            template: the process to fork it from; without one, or if that fails, it is executed.
        """
        asked = json.dumps(
            {
                "command": list(arguments),
                "environment": dict(env),
                "descriptors": list(descriptors),
                "folder": _working_folder(),
            }
        )
        if template is not None and outputs is not None:
            try:
                return await cls._fork(template, asked, (*outputs, *descriptors))
            except TimeoutError:
                template.kill()
            except OSError:
                template.end()
        return await cls._execute(asked, descriptors, env, outputs)

    @classmethod
    async def _fork(cls, template: Template, asked: str, descriptors: Sequence[int]) -> Self:
        """Have the template fork it.

        Raises:
            TimeoutError: it does not answer.
            OSError: it cannot.
        """
        server, theirs = socket.socketpair()
        with closed_on_error(server):
            with theirs:
                template.fork((theirs.fileno(), *descriptors))
            async with asyncio.timeout(_TEMPLATE_SECONDS):
                pid = await _told_pid(server, asked)
            return cls(server, pid=pid, popen=None)

    @classmethod
    async def _execute(
        cls,
        asked: str,
        descriptors: Sequence[int],
        env: Mapping[str, str],
        outputs: tuple[int, int] | None,
    ) -> Self:
        """Have a new guardian execute it."""
        server, theirs = socket.socketpair()
        with closed_on_error(server):  # the guardian ends
            with theirs:
                popen = _guardian(theirs.fileno(), descriptors, env, outputs)
            try:
                pid = await _told_pid(server, asked)
            except BaseException:
                threading.Thread(target=popen.wait, name="reap guardian", daemon=True).start()
                raise
            return cls(server, pid=pid, popen=popen)

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
            with suppress(OSError):  # it has ended meanwhile
                self._server.send(b"t")

    def let_go(self) -> None:
        """Have the guardian kill it, and all that it started."""
        with suppress(OSError):  # the guardian has ended
            self._server.shutdown(socket.SHUT_WR)

    def _reap(self) -> None:
        """Wait for the end, in a thread of its own."""
        with self._server, self._server.makefile("rb") as told:
            status = _status(told)
        if self._popen is not None:
            self._popen.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, status)

    def _note(self, status: int) -> None:
        """Tell who waits."""
        if not self._ended.done():
            self._ended.set_result(status)


def ending(status: int) -> str:
    """Return an exit status in words: `status 3`, or `signal 11, SIGSEGV`."""
    if status >= 0:
        return f"status {status}"
    names = {int(each): each.name for each in signal.Signals}
    return f"signal {-status}, {names.get(-status, 'without a name')}"


def _status(told: BinaryIO) -> int:
    """Return the exit status that a guardian tells at last; it tells none if it was killed."""
    with suppress(OSError, ValueError):
        return int(told.readline())
    return -signal.SIGKILL


def _working_folder() -> str | None:
    """Return the present working folder; a template may have been started in another one."""
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return None


def _guardian(
    socket_end: int,
    descriptors: Sequence[int],
    env: Mapping[str, str],
    outputs: tuple[int, int] | None,
) -> "subprocess.Popen[bytes]":
    """Start a guardian, which waits to be told what to start."""
    out, err = outputs or (our_stderr(), our_stderr())
    return subprocess.Popen(  # noqa: S603 - our own file
        (sys.executable, "-I", "-S", _GUARDIAN, str(socket_end)),
        pass_fds=(*descriptors, socket_end),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
        env=dict(env) | {MARK: ""},  # what sweeps strays leaves guardians to their work
    )


async def _told_pid(server: socket.socket, asked: str) -> int:
    """Tell the guardian what to start; return the process id of what it has started.

    Not in a thread: there are few for all, and a server that ends waits for them.

    Raises:
        OSError: the guardian could not start it.
    """
    loop = asyncio.get_running_loop()
    server.setblocking(False)  # noqa: FBT003 - the name of the standard library
    await loop.sock_sendall(server, asked.encode() + b"\n")
    told = b""
    while not told.endswith(b"\n"):  # no byte more: it may have ended already, and told so
        if not (byte := await loop.sock_recv(server, 1)):
            message = "The guardian of a runner ended before it could start the runner."
            raise OSError(message)
        told += byte
    server.setblocking(True)  # noqa: FBT003 - as above
    return int(told)
