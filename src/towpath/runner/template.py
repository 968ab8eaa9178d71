"""The template of runners: a process with our imports done, from which runners are forked.

A runner that is executed anew imports towpath, FastAPI and uvicorn first: over half a second of a
core, ten times what loading a small app takes, and twice that on a busy machine. A request that
kills its runner costs all that wait behind it as much. A fork of a process that has them takes some
milliseconds, and shares their memory.

What makes forks dangerous is what a process has besides its code: threads whose locks stay held,
loops, connections, open files, random generators that draw the same. So the template imports what
is ours and nothing else: it has one thread, loads no app and opens nothing. Its children are
guardians (`runner.guardian`), and runners are children of those. In a runner, `fork_runners`
returns the arguments of an executed one, and has set its environment and its descriptors.

What is not ours can be in it all the same: tracers start threads from `sitecustomize`. A template
with more than one thread ends with the status UNFIT, and runners are executed.

On other systems than Linux, parts of the system do not bear a fork without exec; runners are
executed there.
"""

import fcntl
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from towpath.memory import freeze_heap
from towpath.runner.guardian import guard
from towpath.runner.strays import MARK
from towpath.runner.titles import show

__all__ = ["UNFIT", "fork_runners"]

UNFIT = 69
"""The exit status of a template that cannot be forked safely (EX_UNAVAILABLE of sysexits.h)."""

_LATER = (
    "fastapi.telemetry._runtime",
    "pydantic._internal._serializers",
    "pydantic.v1",
    "uvicorn.lifespan.on",
    "uvloop",
)
"""What a runner imports between its start and its first answer; some versions have not all."""
_MOST_DESCRIPTORS = 16


def fork_runners(control: socket.socket) -> list[str]:
    """Fork a runner for each message of the server; return in runners only, with their arguments.

    Args:
        control: the socket whose other end the server has. A message is a byte, with the
            descriptors of the guardian's socket, of standard output and error, and of what the
            runner is to have besides. When it closes, the template ends with its last child.
    """
    mark = os.environ[MARK].rstrip(".")  # noqa: TID251 - the server's word, not a setting
    show((sys.executable, "-m", "towpath.runner", "--template"), mark=mark)
    _import_later()
    if _count_threads() > 1:
        os._exit(UNFIT)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guardians tell the server of their ends
    freeze_heap()
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, _MOST_DESCRIPTORS)
        if not said:
            break
        if _is_child():
            control.close()
            return _run(*descriptors)
        for each in descriptors:
            os.close(each)
    with suppress(ChildProcessError):
        os.wait()  # for all of them, since SIGCHLD is ignored
    os._exit(0)


def _import_later() -> None:
    """Import what is only imported when an app is made and called."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic.v1 warns on some versions of Python
        for name in _LATER:
            with suppress(ImportError):
                importlib.import_module(name)


def _count_threads() -> int:
    """Return how many threads this process has, also of native code."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return threading.active_count()


def _is_child() -> bool:
    """Fork; where that fails the server sees that the socket it has sent is closed."""
    try:
        return os.fork() == 0
    except OSError as error:
        sys.stderr.write(f"The template of runners cannot fork: {error}\n")
        return False


def _run(guardian: int, out: int, err: int, *others: int) -> list[str]:
    """Become a guardian and its runner; return in the runner."""
    os.setsid()
    # What sweeps strays leaves guardians to their work.
    show((sys.executable, "-m", guard.__module__), mark="")
    os.dup2(out, 1)
    os.dup2(err, 2)
    asked = guard(socket.socket(fileno=guardian))
    _place(others, asked["descriptors"])
    if asked["folder"] is not None:
        with suppress(OSError):
            os.chdir(asked["folder"])
    command, environment = asked["command"], asked["environment"]
    os.environ.clear()  # noqa: TID251 - it is another process's
    os.environ.update(environment)  # noqa: TID251 - as above
    show(command, mark=environment.get(MARK, ""))
    # drawn at the import; by it the processes of one app know each other
    multiprocessing.current_process().authkey = os.urandom(32)
    sys.orig_argv[:] = command
    sys.argv[1:] = command[command.index("towpath.runner") + 1 :]
    return sys.argv[1:]


def _place(descriptors: Sequence[int], numbers: Sequence[int]) -> None:
    """Give descriptors the numbers that the runner's arguments name; close all others."""
    above = max((2, *descriptors, *numbers)) + 1
    kept = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, above) for each in descriptors]
    os.closerange(3, above)
    for each, number in zip(kept, numbers, strict=True):
        os.dup2(each, number)
        os.close(each)
