"""What the command prints while it serves: by a thread, to outputs that may be closed or full.

`print` and `logging.StreamHandler` write where they are called, in the event loop. A reader that
has gone (`towpath run app.py | head -2`) makes them raise in whatever called them: the handler of a
signal, the task that answers a request. A reader that does not read (a pager, a stopped terminal)
makes them wait, and the whole server with them. So lines wait here, and one thread writes them.
Of an output that is closed the rest is dropped; one that is full is tried again with what follows.

To wake that thread for each line costs more than the line: the event loop and the thread take turns
at the interpreter, at each request. So it is woken only when it has nothing to do, writes all that
has come as one piece, and rests a moment in which more comes. While much waits it goes on, or an
app that prints much would lose lines to an output that is fast enough.

A standard descriptor that was closed before the start (`>&-`) would be given to the next file or
socket that is opened, and output would go into that: `fill_descriptors` opens the null device
there.
"""

import errno
import os
import select
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

__all__ = ["Outlet", "fill_descriptors"]

Where = Literal["out", "err"]

_NUMBERS = {"out": 1, "err": 2}
_MOST_BYTES = 4 * 2**20
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EINTR, errno.ENOBUFS})
_WAIT_SECONDS = 1.0
_REST_SECONDS = 0.02
_MOST_AT_ONCE = 64 * 1024


def fill_descriptors(numbers: Sequence[int] = (0, 1, 2)) -> None:
    """Open the null device at each standard descriptor that is closed."""
    for number in numbers:
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)


class Outlet:
    """Takes lines at once, and writes them to standard output and error in their order.

    Args:
        most_bytes: that may wait; lines beyond are dropped, and their number is written down.
    """

    def __init__(self, *, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._lines: deque[tuple[Where, bytes]] = deque()
        self._size = 0
        self._dropped = 0
        self._closed: set[Where] = set()
        self._is_idle = False
        self._ending = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="outlet", daemon=True)
        self._thread.start()

    def say(self, text: str, where: Where = "err") -> None:
        """Have *text* written as a line; never wait, never raise."""
        line = text.encode(errors="backslashreplace") + b"\n"
        with self._changed:
            if where in self._closed:
                return
            if self._size + len(line) > self._most:
                self._dropped += 1
                return
            self._size += len(line)
            self._lines.append((where, line))
            if self._is_idle:
                self._is_idle = False
                self._changed.notify_all()

    def close(self, seconds: float = 2.0) -> None:
        """Write what waits, within *seconds*, and end."""
        self._ending.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(seconds)

    def _write_all(self) -> None:
        """Write lines as they come, until the end."""
        while (taken := self._next()) is not None:
            where, lines = taken
            try:
                _write(_NUMBERS[where], lines)
            except OSError as error:
                if error.errno not in _PASSING:
                    with self._changed:
                        self._closed.add(where)
            if self._size < _MOST_AT_ONCE:
                self._ending.wait(_REST_SECONDS)

    def _next(self) -> tuple[Where, bytes] | None:
        """Wait for lines, and return those for one output; None at the end."""
        with self._changed:
            while not self._lines and not self._ending.is_set():
                self._is_idle = True
                self._changed.wait()
            if self._dropped and self._size < self._most // 2:
                count, self._dropped = self._dropped, 0
                return "err", b"%d lines were dropped: the output was too slow\n" % count
            if not self._lines:
                return None
            return self._taken()

    def _taken(self) -> tuple[Where, bytes]:
        """Take the next lines of one output."""
        where, line = self._lines.popleft()
        taken, size = [line], len(line)
        while self._lines and self._lines[0][0] == where and size < _MOST_AT_ONCE:
            taken.append(self._lines.popleft()[1])
            size += len(taken[-1])
        self._size -= size
        return where, b"".join(taken)


def _write(number: int, lines: bytes) -> None:
    """Write whole lines, also to a descriptor that another program made non-blocking."""
    rest = memoryview(lines)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:
            with suppress(ValueError):
                select.select([], [number], [], _WAIT_SECONDS)
