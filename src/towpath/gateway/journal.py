"""What queued requests write and how far they are, on its way into the queue."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field

from towpath.concurrency import in_thread
from towpath.engine.pipes import Event
from towpath.errors import QueueError
from towpath.gateway.changes import Changes
from towpath.queue.requests import Claim, LogLine
from towpath.queue.store import RequestQueue

__all__ = ["Journal"]

log = logging.getLogger(__name__)

_END_SECONDS = 1.0
_FLUSH_SECONDS = 0.2
_LINES_AT_ONCE = 1000  # others want to write too


@dataclass(slots=True)
class _Entry:
    """One attempt's lines that are not in the queue yet."""

    claim: Claim
    place: int
    lines: list[tuple[int, LogLine]] = field(default_factory=list)
    progress: str | None = None
    size: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Journal:
    """Gathers events of requests and writes them down, some times a second.

    Args:
        queue: where they go.
        changes: who is told.
        most_bytes: of one request's log.
    """

    def __init__(self, queue: RequestQueue, changes: Changes, *, most_bytes: int) -> None:
        self._queue = queue
        self._changes = changes
        self._most = most_bytes
        self._entries: dict[str, _Entry] = {}

    async def open(self, claim: Claim) -> None:
        """Gather what an attempt writes from now on; places go on where an earlier one ended."""
        place, size = 0, 0
        if claim.attempt > 1:
            known = await in_thread(self._queue.records.logs)(claim.request_id)
            place = known[-1][0] + 1 if known else 0
            size = sum(_size(line.message) for _, line in known)
        self._entries[claim.request_id] = _Entry(claim, place, size=size)

    def hear(self, event: Event) -> None:
        """Take one event of a runner."""
        entry = self._entries.get(event.request_id)
        if entry is None:
            return
        if event.kind == "end":
            entry.ended.set()
        elif event.kind == "progress":
            entry.progress = event.message
        elif entry.size <= self._most:
            entry.size += _size(event.message)
            line = LogLine(event.at, event.level, event.message)
            if entry.size > self._most:
                reason = f"more than {self._most} bytes: the rest of this log is dropped"
                line = LogLine(event.at, "WARN", reason)
            entry.lines.append((entry.place, line))
            entry.place += 1

    async def close(self, request_id: str, *, was_heard: bool) -> None:
        """Write down the last lines of an attempt, once its runner has said the last word."""
        entry = self._entries.get(request_id)
        if entry is None:
            return
        if was_heard:
            with suppress(TimeoutError):
                await asyncio.wait_for(entry.ended.wait(), _END_SECONDS)
        await self._flush(entry)
        self._entries.pop(request_id, None)

    async def keep_flushing(self) -> None:
        """Write down what has gathered, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await asyncio.gather(*(self._flush(entry) for entry in tuple(self._entries.values())))

    async def _flush(self, entry: _Entry) -> None:
        """Write down what one attempt has gathered."""
        lines, progress = entry.lines, entry.progress
        if not lines and progress is None:
            return
        entry.lines, entry.progress = [], None
        try:
            for at in range(0, len(lines) or 1, _LINES_AT_ONCE):
                some = lines[at : at + _LINES_AT_ONCE]
                await in_thread(self._queue.note)(entry.claim, some, progress)
        except QueueError as error:  # a request is worth more than its log
            log.warning("log lines were lost", extra={"reason": str(error), "lines": len(lines)})
        self._changes.note(entry.claim.request_id)


def _size(message: str) -> int:
    """Return the bytes of a line."""
    return len(message.encode(errors="replace")) + 1
