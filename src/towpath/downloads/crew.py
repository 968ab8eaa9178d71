"""Helper connections: they take parts from the end while the first response goes on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from towpath.downloads.lanes import shared_lanes
from towpath.downloads.pace import Pace, part_size
from towpath.downloads.part import Part
from towpath.downloads.reuse import Head, fit
from towpath.downloads.sources import Ask, Opened
from towpath.downloads.spans import Span, Spans
from towpath.errors import DownloadError, SourceStatusError
from towpath.net.patience import Patience, Watch

__all__ = ["FIRST_BYTE", "Crew", "Work"]

FIRST_BYTE = 5.0
_STALL = 10.0
_TOO_MANY = frozenset({429, 503})


class _StoppedError(Exception):
    """The download ended while a helper waited for bytes."""


@dataclass(slots=True, eq=False)
class Work:
    """One version of a file on its way into a part; all its connections share this.

    Attributes:
        head: what the first answer said.
        part: where the bytes go.
        spans: the book of the bytes; used under `lock`.
        patience: shared by all.
        high: the most bytes that were ever here, in this try or one before.
        changed: whether an answer belonged to another version.
        refuses: whether the server does not give parts.
        failure: what no connection can do anything about, such as a full disk.
    """

    head: Head
    part: Part
    spans: Spans
    patience: Patience
    high: int = 0
    changed: bool = False
    refuses: bool = False
    failure: OSError | None = None
    lock: threading.Condition = field(default_factory=threading.Condition)

    def pump(self, opened: Opened, span: Span, tick: Callable[[], None] | None = None) -> None:
        """Write what *opened* brings into *span*."""
        for piece in opened.chunks():
            size = min(len(piece), span.left)
            if size <= 0:
                return  # more than was asked for
            self.part.write_at(piece[:size], span.at)
            with self.lock:
                self.spans.advance(span, size)
                new, self.high = self._beyond(), max(self.high, self.spans.done_bytes)
            self.patience.note(new)
            if tick is not None:
                tick()
            if not span.left and span.stop < span.reach:
                return  # others took the rest; what still comes is not read

    def _beyond(self) -> int:
        """Return how many bytes are here beyond what any try before had: only they are useful."""
        return max(0, self.spans.done_bytes - self.high)

    def give_back(self, span: Span) -> None:
        """End *span* and wake whoever waits for something to do."""
        with self.lock:
            self.spans.give_back(span)
            self.lock.notify_all()


class Crew:
    """The helpers of one download.

    Args:
        work: what they work at.
        most: connections at most, the first one included.
        now: a monotonic time.
    """

    def __init__(self, work: Work, most: int, now: float) -> None:
        self._work = work
        self._most = most
        self._size = part_size(work.head.size or 0, most)
        self._host = urlsplit(work.head.url).netloc
        self._active = self._writing = self._unanswered = 0
        self._stopping = False
        self.pace = Pace(most, now, work.spans.done_bytes, time.thread_time())

    @property
    def part_size(self) -> int:
        """Return how many bytes are asked for at once."""
        return self._size

    def adjust(self, first: Opened, now: float) -> None:
        """Start helpers when the rate says that more connections bring more.

        Args:
            first: the answer whose way they go.
            now: a monotonic time.
        """
        if first.beside is None or self._stopping:
            return
        with self._work.lock:
            if self._unanswered:
                return  # what these bring is not known yet
            wanted = self.pace.wanted(now, self._work.spans.done_bytes, time.thread_time())
            missing = wanted - 1 - self._active if self._work.spans.is_takeable else 0
        for _ in range(missing):
            if not shared_lanes.take(self._host, self._most):
                return
            with self._work.lock:
                self._active += 1
                self._unanswered += 1
            threading.Thread(
                target=self._help, args=(first,), daemon=True, name="towpath-helper"
            ).start()

    def stop(self) -> None:
        """Send the helpers home; return when none of them will write any more."""
        with self._work.lock:
            self._stopping = True
            self._work.lock.wait_for(lambda: not self._writing)

    def _help(self, first: Opened) -> None:
        """Fetch part after part."""
        unanswered = [True]
        try:
            while not self._stopping and self._active < self.pace.count:
                with self._work.lock:
                    span = self._work.spans.take(self._size)
                if span is None:
                    return
                try:
                    if not self._fetch(first, span, unanswered):
                        return
                finally:
                    self._work.give_back(span)
        finally:
            self._note_answer(unanswered)
            shared_lanes.give(self._host)
            with self._work.lock:
                self._active -= 1
                self._work.lock.notify_all()

    def _note_answer(self, unanswered: list[bool]) -> None:
        """Note that a helper had its first answer, or ended."""
        if unanswered:
            unanswered.clear()
            with self._work.lock:
                self._unanswered -= 1

    def _fetch(self, first: Opened, span: Span, unanswered: list[bool]) -> bool:
        """Fetch one part; return whether to go on."""
        work = self._work

        def look_up() -> None:
            if self._stopping or not span.left:
                raise _StoppedError  # the download has ended, or others took it all

        watch = Watch(work.patience, look_up, first_byte=FIRST_BYTE, stall=_STALL)
        try:
            opened = self._opened(first, Ask(span.at, span.stop, work.head.etag), watch)
            if opened is None:
                return False
            self._note_answer(unanswered)
            try:
                self._write(opened, span)
            finally:
                opened.close()
        except _StoppedError:
            return False
        except DownloadError as error:
            self._learn(error)
            return False
        except OSError as error:
            work.failure = error
            return False
        return True

    def _write(self, opened: Opened, span: Span) -> None:
        """Write a part, unless the download has ended meanwhile."""
        with self._work.lock:
            if self._stopping:
                return
            self._writing += 1
        try:
            self._work.pump(opened, span, self._leave_if_stopping)
        finally:
            with self._work.lock:
                self._writing -= 1
                self._work.lock.notify_all()

    def _opened(self, first: Opened, ask: Ask, watch: Watch) -> Opened | None:
        """Open a part of the very same version, or return None."""
        assert first.beside is not None  # noqa: S101 - adjust() looked
        opened = first.beside(ask, watch)
        found = fit(self._work.head, ask.start, opened.head, opened.start)
        if found == "part":
            return opened
        opened.close()
        if found == "changed":
            self._work.changed = True
        self._go_alone()
        return None

    def _learn(self, error: DownloadError) -> None:
        """Come with fewer connections after a failure, or with none when parts are refused."""
        with self._work.lock:
            if isinstance(error, SourceStatusError) and error.status not in _TOO_MANY:
                self._go_alone()
            else:
                self.pace.shrink()

    def _go_alone(self) -> None:
        """Start no more helpers: the server does not give parts."""
        self._work.refuses = True
        self.pace.most = self.pace.count = 1

    def _leave_if_stopping(self) -> None:
        """Leave a part when the download has ended."""
        if self._stopping:
            raise _StoppedError
