"""A child process that async code waits for.

Started by `subprocess`, whose fork and exec run no Python code in between. uvloop's own way does,
and dead-locked when another thread held a lock at that moment.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

__all__ = ["ChildProcess"]


class ChildProcess:
    """A running program.

    Args:
        arguments: the program and its arguments.
        descriptors: what it inherits besides the standard streams.
        env: its whole environment.
        outputs: its standard output and error, and then it leads a process group of its own;
            without them both are our standard error.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        descriptors: Sequence[int],
        env: Mapping[str, str],
        outputs: tuple[int, int] | None = None,
    ) -> None:
        out, err = outputs or (_our_stderr(), None)
        self._popen = subprocess.Popen(  # noqa: S603 - our own module, with arguments of ours
            arguments,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=outputs is not None,
            env=dict(env),
        )
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._reap, name=f"reap {self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._popen.pid

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
            self._popen.terminate()

    def _reap(self) -> None:
        """Wait for the end, in a thread of its own."""
        status = self._popen.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, status)

    def _note(self, status: int) -> None:
        """Tell who waits."""
        if not self._ended.done():
            self._ended.set_result(status)


def _our_stderr() -> int | None:
    """Return the stream that children print to: our standard output is for results."""
    return sys.__stderr__.fileno() if sys.__stderr__ else None
