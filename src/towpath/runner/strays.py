"""What is left where a guardian itself was killed: found by a mark in the environment.

A guardian finds all that its runner started. When it is killed together with the server, the next
server looks for processes whose runner's mark names a server that is gone. A process that was given
an environment of its own does not have the mark, and stays.
"""

import os
from collections.abc import Callable
from contextlib import suppress

import psutil

__all__ = ["MARK", "end_strays", "is_server_gone", "mark_of_server"]

MARK = "_TOWPATH_RUNNER"
_CLOSE = 2  # seconds: moments of a start are told in jiffies, and rounded


def mark_of_server() -> str:
    """Return what begins the marks of this server's runners: its process id and start."""
    return f"{os.getpid()}-{int(psutil.Process().create_time())}"


def is_server_gone(mark: str) -> bool:
    """Return whether the server that a mark names has ended."""
    pid, _, started = mark.partition(".")[0].partition("-")
    if not (pid.isdigit() and started.isdigit()):
        return False
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - int(started)) < _CLOSE
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def end_strays(is_over: Callable[[str], bool]) -> int:
    """Kill the processes whose mark *is_over*; return how many there were."""
    ended = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # others' processes, and those that end meanwhile
            mark = process.environ().get(MARK)
            if mark is not None and process.pid != os.getpid() and is_over(mark):
                process.kill()
                ended += 1
    return ended
