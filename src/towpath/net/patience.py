"""How long to go on with a stranger's server, and what counts as going on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from towpath.errors import SourceUnavailableError

__all__ = ["Patience", "Watch"]

_USEFUL = 64 * 1024  # so many bytes, or the rest of the file, reset the clock


class Patience:
    """The time that a download has left; its connections and attempts share it.

    A byte now and then does not reset the clock; 64 KiB do.

    Args:
        url: for the message.
        seconds: how long to wait without a useful amount of bytes.
        deadline: seconds for everything together; None = as long as it goes on.

    Attributes:
        on_tick: what `tick` calls; set by whoever goes on with an answer that others opened.
    """

    def __init__(self, url: str, seconds: float, *, deadline: float | None = None) -> None:
        self.url = url
        self.seconds = seconds
        self.deadline = deadline
        self.on_tick: Callable[[], None] | None = None
        now = time.monotonic()
        self._until = now + seconds
        self._end = None if deadline is None else now + deadline
        self._seen = 0
        self._nudge = threading.Event()

    def left(self) -> float:
        """Return the seconds left; zero or less when there are none."""
        now = time.monotonic()
        return min(self._until, self._end or self._until) - now

    def remaining(self) -> float:
        """Return the seconds left; raise SourceUnavailableError when there are none."""
        now = time.monotonic()
        if self._end is not None and now >= self._end:
            reason = f"it took longer than the deadline of {self.deadline:g} s"
            raise SourceUnavailableError(self.url, reason)
        if now >= self._until:
            advice = f"Wait longer with patience= (now {self.seconds:g} s)."
            raise SourceUnavailableError(self.url, self._impatience(), advice=advice)
        return self.left()

    def _impatience(self) -> str:
        """Say what the host did while patience ran out."""
        if not self._seen:
            return (
                f"the host stalled: no byte of the file came for {self.seconds:g} s. "
                "Try again later."
            )
        return (
            f"the host is slow: {self._seen} bytes of the file came in {self.seconds:g} s, "
            f"and {_USEFUL} are the least."
        )

    def note(self, size: int) -> None:
        """Count *size* new bytes of the file."""
        self._seen += size
        if self._seen >= _USEFUL:
            self._seen = 0
            self._until = time.monotonic() + self.seconds

    def tick(self) -> None:
        """Call `on_tick`, if it is set."""
        if self.on_tick is not None:
            self.on_tick()

    def wait(self, seconds: float) -> None:
        """Do nothing for *seconds*."""
        self._nudge.wait(max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class Watch:
    """What one connection is watched by.

    Attributes:
        patience: shared by the download.
        on_tick: called a few times a second while nothing comes.
        first_byte: seconds in which an answer has to begin.
        stall: seconds without any byte that end a connection.
        slowest: bytes a second, over `stall` seconds, that a connection has to bring.
    """

    patience: Patience
    on_tick: Callable[[], None] | None = None
    first_byte: float = 30.0
    stall: float = 30.0
    slowest: int = 10 * 1024
