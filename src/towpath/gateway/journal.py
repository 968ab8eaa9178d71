"""What queued requests write and how far they are, on its way into the queue."""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field

from towpath.engine.pipes import Event
from towpath.errors import QueueUnavailableError
from towpath.gateway.changes import Changes
from towpath.queue.requests import Claim, LogLine
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread

__all__ = ["Journal"]

log = logging.getLogger(__name__)

_UNWRITTEN = "log lines wait to be written"
_END_SECONDS = 1.0
_FLUSH_SECONDS = 0.2
_LINES_AT_ONCE = 1000  # others want to write too


@dataclass(slots=True)
class _Entry:
    """One attempt's lines that are not in the queue yet."""

    claim: Claim
    place: int = 0
    lines: list[tuple[int, LogLine]] = field(default_factory=list)
    progress: str | None = None
    failure: str | None = None
    size: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Journal:
    """Gathers events of requests and writes them down, some times a second.

    A line is kept whatever comes of its attempt: an entry is closed when the runner has said the
    attempt's last word, or is gone itself.

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
        self._unwritten: dict[str, _Entry] = {}

    async def open(self, claim: Claim) -> None:
        """Gather what an attempt writes from now on; places go on where an earlier one ended."""
        entry = _Entry(claim)
        if claim.attempt > 1:
            known = await in_queue_thread(self._queue.records.logs)(claim.request_id)
            entry.place = known[-1][0] + 1 if known else 0
            entry.size = sum(_size(line.message) for _, line in known)
        self._entries[claim.request_id] = entry

    def hear(self, event: Event) -> None:
        """Take one event of a runner."""
        entry = self._entries.get(event.request_id)
        if entry is None:
            return
        if event.kind == "end":
            entry.ended.set()
        elif event.kind == "progress":
            entry.progress = event.message
        elif event.kind == "failed":
            entry.failure = event.message if _is_failure(event.message) else None
        elif entry.size <= self._most:
            self._add(entry, event)

    def _add(self, entry: _Entry, event: Event) -> None:
        """Take one line, or say that there are too many."""
        level, message = event.level, event.message
        entry.size += _size(message)
        if entry.size > self._most:
            level = "WARN"
            message = f"more than {self._most} bytes: the rest of this log is dropped"
        line = LogLine(event.at, level, message, attempt=entry.claim.attempt)
        entry.lines.append((entry.place, line))
        entry.place += 1

    async def close(self, request_id: str, *, grace: float | None = 0.0) -> str | None:
        """Write down the last lines of an attempt, once its runner has said the last word.

        Returns how its code failed after its answer had begun, as JSON; None if it did not.

        Args:
            request_id: whose attempt.
            grace: seconds more that its code may take to say that word; a runner that ends says it
                too. None: nobody waits for it.
        """
        entry = self._entries.get(request_id)
        if entry is None:
            return None
        if grace is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS + grace):
                    await entry.ended.wait()
        self._entries.pop(request_id, None)
        await self._flush(entry)
        if entry.lines:
            self._unwritten[request_id] = entry
        return entry.failure

    async def settle(self, request_id: str) -> None:
        """Write down what could not be at the close.

        Raises:
            QueueUnavailableError: it still cannot.
        """
        entry = self._unwritten.pop(request_id, None)
        if entry is not None:
            await self._flush(entry)
            if entry.lines:
                self._unwritten[request_id] = entry
                raise QueueUnavailableError(_UNWRITTEN)

    def drop(self, request_id: str) -> None:
        """Forget an attempt: it has reached no runner, or its end was written down."""
        self._entries.pop(request_id, None)
        self._unwritten.pop(request_id, None)

    async def keep_flushing(self) -> None:
        """Write down what has gathered, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await asyncio.gather(*(self._flush(entry) for entry in tuple(self._entries.values())))

    async def _flush(self, entry: _Entry) -> None:
        """Write down what one attempt has gathered, after what is being written already.

        A close must not overtake a write that has begun: the request would end before its lines.
        """
        async with entry.writing:
            await self._written(entry)

    async def _written(self, entry: _Entry) -> None:
        """Write down the lines and the progress that wait."""
        lines, progress = entry.lines, entry.progress
        if not lines and progress is None:
            return
        entry.lines, entry.progress = [], None
        try:
            for at in range(0, len(lines) or 1, _LINES_AT_ONCE):
                some = lines[at : at + _LINES_AT_ONCE]
                await in_queue_thread(self._queue.note)(entry.claim, some, progress)
        except QueueUnavailableError as error:  # a line that was written is not written twice
            log.warning("log lines wait", extra={"reason": str(error), "lines": len(lines)})
            entry.lines[:0] = lines
        except Exception as error:  # noqa: BLE001 - a request is worth more than its log
            log.warning("log lines were lost", extra={"reason": str(error), "lines": len(lines)})
        self._changes.note(entry.claim.request_id)


def _size(message: str) -> int:
    """Return the bytes of a line."""
    return len(message.encode(errors="replace")) + 1


def _is_failure(text: str) -> bool:
    """Return whether a runner's word of a failure can be read: `{"status": …, "body": …}`."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict) or not isinstance(said.get("body"), dict):
        return False
    return type(said.get("status")) is int and 400 <= said["status"] < 600  # noqa: PLR2004
