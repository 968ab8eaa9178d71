"""The guardian of a runner: what a runner started ends with it, and both end with the server.

The naive way is a process group that is killed. A child leaves its group by `setsid`, and does:
torchrun, vLLM and wrappers of ffmpeg start theirs so (`Popen(start_new_session=True)`), and daemons
fork twice. It outlives the server then, with the GPU's memory. Three things of Linux help together:

- The guardian is the parent of the runner and a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER):
  the kernel gives every descendant that loses its parent to it. So all that a runner started lies
  below the guardian in the tree of processes, whatever its group and session, and killing the
  guardian's children until there are none finds them all.
- A socket, whose other end only the server has, closes when the server ends, however it ends.
- The runner dies with its guardian (PR_SET_PDEATHSIG). Unlike the server, the guardian has one
  thread; that signal comes when the *thread* that forked ends.

A cgroup needs a right that servers rarely have, and a PID namespace shows the app other process ids
than nvidia-smi and the logs do. Other systems than Linux have no subreapers; there the guardian
kills the group, and a child with a session of its own may stay.

A guardian is forked from the template of runners (`runner.template`). Where there is no template,
this file is run by path, without towpath and without site-packages, so that it starts in some
milliseconds and stays small: `python -I -S guardian.py DESCRIPTOR`.

What the runner is to do comes over the socket, as a line of JSON; its process id goes back.
A `t` that comes later asks the runner to end. The last line that goes back is the runner's exit
status, after all that it started has ended. The guardian then ends as the runner has ended.
"""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_PATIENCE = 10.0  # seconds for what was killed to be gone: it may hang in a driver
_PAUSE = 0.05
_NOT_STARTED = 127
_PROC = Path("/proc")
_HEARD = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """Become the program that the server names, below a guardian."""
    asked = guard(socket.socket(fileno=int(sys.argv[1])))
    command = asked["command"]
    for each in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(each, signal.SIG_DFL)
    try:
        os.execve(command[0], command, asked["environment"])  # noqa: S606 - what the server sends
    except OSError as error:
        os.write(2, f"{command[0]} cannot be executed: {error}\n".encode())
    os._exit(_NOT_STARTED)


def guard(server: socket.socket) -> dict[str, Any]:  # Any: JSON
    """Fork a runner from this process, and watch over it; return in the runner only.

    Args:
        server: the socket whose other end the server has.

    Returns:
        What the server asks the runner to do.
    """
    server.set_inheritable(False)
    is_reaper = _control(_SET_CHILD_SUBREAPER, 1)
    signals = _hear_signals()
    line = server.makefile("rb").readline()
    if not line:  # the server has ended, or does not want a runner any more
        os._exit(_NOT_STARTED)
    # A signal that comes before the runner has its own handlers waits for them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    guardian, runner = os.getpid(), os.fork()
    if runner:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _tell(server, runner)
        _stand_guard(server, signals, runner, is_reaper=is_reaper)
    server.detach()
    _become_runner(guardian)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    asked: dict[str, Any] = json.loads(line)
    return asked


def _stand_guard(server: socket.socket, signals: int, runner: int, *, is_reaper: bool) -> NoReturn:
    """Wait for the end of the runner, or of the server; end all that is left, and this process."""
    _let_go({server.fileno(), signals})
    status = _watch(server, signals, runner)
    with suppress(OSError):
        os.killpg(runner, signal.SIGKILL)
    if is_reaper:
        _end_all(signals)
    _leave(status, server)


def _tell(server: socket.socket, number: int) -> None:
    """Tell the server a number; that the server has ended is seen elsewhere."""
    with suppress(OSError):
        server.sendall(b"%d\n" % number)


def _control(option: int, value: int) -> bool:
    """Call prctl(2); return whether it worked: not every system has it."""
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _hear_signals() -> int:
    """Have the numbers of signals written into a pipe; return the end to read from."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    for each in _HEARD:
        signal.signal(each, lambda *_: None)
    return ours


def _become_runner(guardian: int) -> None:
    """Lead a session of one's own, and end with the guardian."""
    os.setsid()
    _control(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guardian:
        os._exit(_NOT_STARTED)
    signal.set_wakeup_fd(-1)
    for each in _HEARD:
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _let_go(kept: set[int]) -> None:
    """Close what only the runner is to have: its socket, its pipes."""
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    low = 3
    for descriptor in sorted({*kept, wakeup}):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 4096))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)


def _watch(server: socket.socket, signals: int, runner: int) -> int | None:
    """Return the runner's status once it has ended, or None once the server has."""
    while True:
        status = _reap().get(runner)
        if status is not None:
            return status
        ready, _, _ = select.select([server.fileno(), signals], [], [])
        is_asked = server.fileno() in ready
        if is_asked and not _received(server):
            return None
        if signal.SIGTERM in _read(signals) or is_asked:
            os.kill(runner, signal.SIGTERM)


def _received(server: socket.socket) -> bytes:
    """Return what the server has sent; nothing once it has ended."""
    with suppress(OSError):
        return server.recv(4096)
    return b""


def _read(signals: int) -> bytes:
    """Return the numbers of the signals that have come."""
    with suppress(BlockingIOError):
        return os.read(signals, 4096)
    return b""


def _reap() -> dict[int, int]:
    """Return the statuses of the children that have ended, by their process ids."""
    ended: dict[int, int] = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    return ended


def _end_all(signals: int) -> None:
    """Kill every descendant, also those that are born meanwhile."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        _reap()
        left = _descendants()
        if not left:
            return
        for each in left:
            with suppress(OSError):
                os.kill(each, signal.SIGKILL)
        select.select([signals], [], [], _PAUSE)
        _read(signals)


def _descendants() -> list[int]:
    """Return the processes below this one."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):  # it has ended
                # the name, in brackets, may hold anything: "pid (name) state parent …"
                parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
                children[int(parent)].append(int(folder.name))
    found = list(children[os.getpid()])
    for each in found:
        found += children[each]
    return found


def _leave(status: int | None, server: socket.socket) -> NoReturn:
    """Tell the server how the runner has ended, and end in the same way."""
    code = 0 if status is None else os.waitstatus_to_exitcode(status)
    _tell(server, code)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
