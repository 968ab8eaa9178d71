"""What `ps` and /proc show of a forked process: the arguments and the mark of an executed one.

Both are read from memory that the kernel wrote when the program was executed (proc(5),
/proc/pid/cmdline and environ), so a fork shows its template's. The process may write there, as
PostgreSQL and setproctitle do. That library gives the environment's part to the title, and
`runner.strays` finds processes by their environment; so the two parts keep their places here, and
what does not fit is cut. The template is executed with room for both.
"""

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from towpath.runner.strays import MARK

__all__ = ["ROOM", "show"]

ROOM = 512
"""Bytes to leave for arguments and for a mark."""

_STAT = Path("/proc/self/stat")
_AFTER_NAME = 3  # the number of the first field behind the name
_ARGUMENTS, _ENVIRONMENT = 48, 50  # where they begin; the next field says where they end


def show(command: Sequence[str] = (), *, mark: str) -> None:
    """Show a command, if one is given, and a mark; nothing changes on systems without /proc."""
    with suppress(OSError, ValueError, IndexError):
        fields = _STAT.read_text().rpartition(")")[2].split()
        if command:
            start, size = _area(fields, _ARGUMENTS)
            _write(start, size, b"\0".join(map(_encoded, command)))
        start, size = _area(fields, _ENVIRONMENT)
        known = b"\0" + ctypes.string_at(start, size)
        name = b"\0" + MARK.encode() + b"="
        at = known.index(name) + len(name)
        _write(start + at - 1, _room(known[at:]), mark.encode())


def _room(known: bytes) -> int:
    """Return how many bytes there are for a text: the present one's and the zeros behind it."""
    length = known.index(b"\0")
    zeros = known[length:]
    return length + len(zeros) - len(zeros.lstrip(b"\0"))


def _encoded(word: str) -> bytes:
    return word.encode(errors="surrogateescape")


def _area(fields: Sequence[str], number: int) -> tuple[int, int]:
    """Return where an area begins and how many bytes it has."""
    start, end = (int(fields[each - _AFTER_NAME]) for each in (number, number + 1))
    return start, end - start


def _write(start: int, size: int, text: bytes) -> None:
    """Write *text* into an area, and zeros behind it; its last byte stays a zero."""
    ctypes.memmove(start, text[: size - 1].ljust(size, b"\0"), size)
