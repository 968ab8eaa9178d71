"""The process that runners are forked from (`runner.template`), as the server sees it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from towpath.runner.strays import MARK, mark_of_server
from towpath.runner.template import UNFIT
from towpath.runner.titles import ROOM

__all__ = ["Template", "Templates", "closed_on_error", "our_stderr"]

_OURS = "TOWPATH_"
_CHANGING = frozenset({MARK, "CUDA_VISIBLE_DEVICES", "PYTEST_CURRENT_TEST"})
"""What may differ, with our settings, between the environments of runners of one template.

All others may be read when a process starts, or by what we import: PYTHONPATH, LD_PRELOAD, TZ.
"""


class Template:
    """A running template.

    Args:
        env: the environment of its runners.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)  # noqa: FBT003 - the name of the standard library
        with closed_on_error(self._control), theirs:
            popen = _started(theirs.fileno(), env)
        threading.Thread(target=popen.wait, name="reap template", daemon=True).start()
        self._popen = popen

    @property
    def is_running(self) -> bool:
        """Return whether it can fork."""
        return self._control.fileno() >= 0 and self._popen.returncode is None

    @property
    def is_unfit(self) -> bool:
        """Return whether it has ended because it must not be forked."""
        return self._popen.returncode == UNFIT

    def fork(self, descriptors: Sequence[int]) -> None:
        """Ask for a guardian and its runner.

        Args:
            descriptors: the guardian's socket, standard output and error, and what else the runner
                is to have.

        Raises:
            OSError: it has ended.
        """
        socket.send_fds(self._control, [b"f"], descriptors)

    def end(self) -> None:
        """Have it end; its runners go on."""
        self._control.close()

    def kill(self) -> None:
        """End one that does not answer; all that wait for it are told so."""
        self._popen.kill()
        self.end()


class Templates:
    """Makes the template when it is first asked for, and anew when it has ended."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # servers in several threads may share it
        self._present: Template | None = None
        self._env: dict[str, str] = {}

    def of(self, python: str, env: Mapping[str, str]) -> Template | None:
        """Return the template of runners with this interpreter and environment.

        Other interpreters than ours have no template: it would stay as a process, for packages
        that few apps have. The result is also None if the template cannot start or must not fork.
        """
        if python != sys.executable or sys.platform != "linux":
            return None
        common = {n: v for n, v in env.items() if not (n in _CHANGING or n.startswith(_OURS))}
        with self._lock:
            present = self._present
            if present is not None and common == self._env:
                if present.is_unfit:
                    return None
                if present.is_running:
                    return present
            self.end()
            with suppress(OSError):
                self._present, self._env = Template(common), common
            return self._present

    def end(self) -> None:
        """Have the template end; the next one that is asked for is a new one."""
        with self._lock:
            if self._present is not None:
                self._present.end()
                self._present = None


def _started(control: int, env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Execute a template; its mark comes last and has room, and so have its arguments."""
    flags = ("--template", str(control), "--room", "." * ROOM)
    return subprocess.Popen(  # noqa: S603 - our own module
        (sys.executable, "-P", "-m", "towpath.runner", *flags),
        pass_fds=(control,),
        stdin=subprocess.DEVNULL,
        stdout=our_stderr(),
        stderr=our_stderr(),
        start_new_session=True,
        env=dict(env) | {MARK: f"{mark_of_server()}.".ljust(ROOM, ".")},
    )


def our_stderr() -> int:
    """Return the stream that children print to: our standard output is for results.

    A child without a standard stream would give its number to the next socket that it is sent.
    """
    return sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL


@contextmanager
def closed_on_error(sock: socket.socket) -> Iterator[None]:
    """Close a socket if what is done with it fails."""
    try:
        yield
    except BaseException:
        sock.close()
        raise
