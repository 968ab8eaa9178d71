"""How a process that runs for days keeps its memory."""

import ctypes
import gc
from contextlib import suppress

__all__ = ["freeze_heap", "share_arenas"]

_ARENA_MAX = -8  # M_ARENA_MAX of mallopt(3)
_ARENAS = 2


def share_arenas() -> None:
    """Have all threads take memory from two heaps, where the C library is glibc.

    By default each thread has its own, which keeps what its largest task has taken; when a sweep
    has run once in each of the server's threads, all of them keep as much: 30 MiB that look like
    a leak.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)


def freeze_heap() -> None:
    """Have the garbage collector leave out what is there now: modules, classes, routes.

    It would look through all of that again and again, and find nothing. To be called when all has
    been imported, and before there is anything large that may be dropped some day.
    """
    gc.collect()
    gc.freeze()
