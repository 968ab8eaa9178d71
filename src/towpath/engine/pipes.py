"""What comes out of a runner: its standard streams, and what it says of its requests."""

import json
import logging
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Event", "Pipes", "RunnerPipes"]

log = logging.getLogger(__name__)

_CHUNK = 65536
_LONGEST_LINE = 16 * 1024
_TAIL_LINES = 200
_KINDS = frozenset({"log", "progress", "failed", "end"})
_LATEST = 253_402_300_800.0  # the year 10000: what a clock can show ends there
_LONGEST_LEVEL = 8  # characters that the queue keeps
_NO_FURTHER = 4 * 2**20  # a line of a runner's events that is longer is none


@dataclass(frozen=True, slots=True)
class Event:
    """What a runner says.

    Attributes:
        kind: a line of a log; how far a request is; its code failed after its answer had begun; a
            request is over.
        request_id: whose; empty for a line that nobody can be named for, and for the runner's end.
        level: of a line.
        message: the line; or the progress, or the failure, as JSON.
        at: moment of a line, seconds since 1970.
    """

    kind: Literal["log", "progress", "failed", "end"]
    request_id: str
    level: str = ""
    message: str = ""
    at: float = 0


@dataclass(slots=True)
class RunnerPipes:
    """The ends of the pipes that a new runner inherits."""

    out: int
    err: int
    events: int

    def close(self) -> None:
        """Close them here; the runner has its own."""
        for descriptor in (self.out, self.err, self.events):
            os.close(descriptor)


@dataclass(slots=True)
class _Source:
    """One pipe and what of it is not a whole line yet."""

    name: str
    pending: bytearray = field(default_factory=bytearray)

    def lines(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole; one that is too long is cut."""
        self.pending += data
        *whole, rest = self.pending.split(b"\n")
        limit = _NO_FURTHER if self.name == "events" else _LONGEST_LINE
        if len(rest) > limit:
            whole, rest = [*whole, rest], bytearray()
        self.pending = bytearray(rest)
        return [bytes(line) for line in whole]


class Pipes:
    """Reads a runner's pipes in a thread, to their ends.

    The last lines that it prints are kept, because they say why it died.

    Args:
        tell: called in that thread for every event.
        clock: the wall clock.
    """

    def __init__(self, tell: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._ends: dict[int, _Source] = {}
        self._thread = threading.Thread(target=self._read, name="runner pipes", daemon=True)

    def open(self) -> RunnerPipes:
        """Make the pipes; return the runner's ends."""
        ends: dict[str, int] = {}
        try:
            for name in ("out", "err", "events"):
                ours, ends[name] = os.pipe()
                self._ends[ours] = _Source(name)
        except OSError:  # no descriptors are left; `drop` closes ours
            for theirs in ends.values():
                os.close(theirs)
            raise
        return RunnerPipes(**ends)

    def start(self) -> None:
        """Begin to read, once the runner has its ends."""
        self._thread.start()

    def drop(self) -> None:
        """Close our ends; there is no runner."""
        for descriptor in self._ends:
            os.close(descriptor)

    def tail(self) -> str:
        """Return the last lines that the runner printed."""
        self._thread.join(1)
        return "\n".join(self._tail)

    def _read(self) -> None:
        """Read all pipes until the last one is closed."""
        with selectors.DefaultSelector() as selector:
            for descriptor in self._ends:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    if not self._take(key.fd):
                        selector.unregister(key.fd)
                        os.close(key.fd)
        self._say(Event("end", ""))  # all of them: nothing follows of any request

    def _take(self, descriptor: int) -> bool:
        """Take what one pipe has; return whether it goes on."""
        source = self._ends[descriptor]
        data = os.read(descriptor, _CHUNK)
        lines = source.lines(data or (b"\n" if source.pending else b""))
        if source.name == "events":
            for line in lines:
                self._heard(line)
        else:
            for line in lines:
                text = _last_drawn(line.decode(errors="replace"))
                self._tail.append(text)
                self._say(Event("log", "", f"STD{source.name.upper()}", text, self._clock()))
        return bool(data)

    def _heard(self, line: bytes) -> None:
        """Pass on one event; what is none is dropped."""
        try:
            event = _event_of(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return
        self._say(event)

    def _say(self, event: Event) -> None:
        try:
            self._tell(event)
        except RuntimeError:  # the loop that it is told to has ended
            log.debug("event after the end", extra={"kind": event.kind})


def _last_drawn(line: str) -> str:
    """Return what a terminal would show of a line that was drawn over by carriage returns."""
    return line.rstrip("\r").rpartition("\r")[2]


def _event_of(said: dict[str, Any]) -> Event:  # Any: JSON
    """Read an event; the app's own code can write to the pipe too.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: it is none.
    """
    texts = [said[name] for name in ("kind", "id", "level", "message")]
    at = float(said["at"])
    if texts[0] not in _KINDS or not all(isinstance(text, str) for text in texts):
        message = "not an event"
        raise ValueError(message)
    if not 0 <= at < _LATEST:
        message = "not a moment"
        raise ValueError(message)
    kind, request_id, level, message = texts
    return Event(kind, request_id, level[:_LONGEST_LEVEL], message, at)
