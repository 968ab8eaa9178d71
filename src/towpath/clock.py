"""What time it is, as an argument."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "iso", "steady_clock", "system_clock"]

Clock = Callable[[], float]
"""Return the wall clock: seconds since 1970, UTC."""


def system_clock() -> float:
    """Return the machine's wall clock."""
    return time.time()


def steady_clock() -> Clock:
    """Return a clock that starts at the wall clock's time and then only goes forward, evenly.

    A wall clock that is set in between does not move it: waits and leases keep their lengths.
    """
    ahead = time.time() - time.monotonic()
    return lambda: time.monotonic() + ahead


def iso(moment: float) -> str:
    """Write *moment* as on the wire: UTC, whole seconds, `2026-01-31T12:00:00+00:00`."""
    return datetime.fromtimestamp(int(moment), tz=UTC).isoformat(timespec="seconds")
