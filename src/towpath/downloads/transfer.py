"""Bring one file into a part: one connection that is never wasted, and helpers where they help."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from towpath.downloads.attempts import Attempts
from towpath.downloads.crew import FIRST_BYTE, Crew, Work
from towpath.downloads.digests import Verifier
from towpath.downloads.journal import Journal, Saved
from towpath.downloads.limits import Limits
from towpath.downloads.pace import LEAST_SIZE
from towpath.downloads.part import Part
from towpath.downloads.reuse import Digest, Head, fit, is_strong
from towpath.downloads.sources import Ask, Opened
from towpath.downloads.spans import Range, Span, Spans
from towpath.errors import DownloadError, SourceChangedError, SourceStatusError
from towpath.net.patience import Patience, Watch

__all__ = ["Brought", "Order", "Transfer", "takes_parts"]

_MOST_CHANGES = 3
_USEFUL = 64 * 1024
_LOOK_EVERY = 0.02
_REPORT_EVERY = 0.1
_JOURNAL_EVERY = 2.0
_STUCK = 1.0
_ROOM_EVERY = 64 * 2**20
_LEAST_PARTED = 256 * 1024  # smaller ones are begun anew when they break
_PRECONDITION = frozenset({412, 416})


@dataclass(frozen=True, slots=True)
class Order:
    """How a file is to be brought.

    Attributes:
        limits: how much may come.
        connections: at most so many at once.
        expected: the digest that the caller gave, or None.
        computes: whether its SHA-256 is computed in any case.
        report: told the bytes that are here and those of the whole, ten times a second at most.
        journal: where it is remembered for a later try, or None.
    """

    limits: Limits
    connections: int = 16
    expected: Digest | None = None
    computes: bool = False
    report: Callable[[int, int | None], None] | None = None
    journal: Journal | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What came.

    Attributes:
        head: what the source said of it.
        size: bytes that are here.
        sha256: its digest in hex, where it was computed.
    """

    head: Head
    size: int
    sha256: str | None


class _AnewError(Exception):
    """The file begins anew: *opened* brings it from its first byte."""

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self.opened = opened


class _StuckError(Exception):
    """A helper met what no connection can do anything about: see Work.failure."""


def takes_parts(head: Head) -> bool:
    """Return whether parts of the file can be asked for and told from those of another version."""
    return head.ranges and (head.size or 0) >= _LEAST_PARTED and is_strong(head.etag)


class Transfer:
    """One download into one part.

    Args:
        reopen: opens the URL again.
        part: where the bytes go.
        order: how.
        patience: how long.
        judge: raises when what a head says is not wanted, such as too many bytes.
    """

    def __init__(
        self,
        reopen: Callable[[Ask, Watch], Opened],
        part: Part,
        order: Order,
        patience: Patience,
        judge: Callable[[Head], None],
    ) -> None:
        self._reopen = reopen
        self._part = part
        self._order = order
        self._judge = judge
        self._attempts = Attempts(patience, self._tick)
        self._watch = Watch(patience, self._tick)
        self._patience = patience
        patience.on_tick = self._tick  # for the first answer, which others opened
        self._here = self._high = 0
        self._is_alone = False
        self._moved_at = 0.0
        self._total: int | None = None
        now = time.monotonic()
        self._next_look = self._next_report = now
        self._next_journal = now + _JOURNAL_EVERY
        self._saving: threading.Thread | None = None
        self._work: Work | None = None
        self._crew: Crew | None = None
        self._first: Opened | None = None

    def run(self, opened: Opened, done: tuple[Range, ...] = ()) -> Brought:
        """Bring the whole file.

        Args:
            opened: the first answer; it begins at the first byte that is missing.
            done: ranges that an earlier try left in the part.

        Raises:
            DownloadError: it could not be brought; the part holds what came.
            OSError: the part cannot be written to.
        """
        changes = 0
        while True:
            head = opened.head
            try:
                return self._bring(opened, done)
            except _AnewError as anew:
                opened, done = anew.opened, ()
            if (opened.head.etag, opened.head.size) != (head.etag, head.size):
                changes += 1
                self._high = 0
            if changes >= _MOST_CHANGES:
                opened.close()
                raise SourceChangedError(head.url, changes)
            try:
                self._judge(opened.head)
            except BaseException:
                opened.close()
                raise

    def _bring(self, opened: Opened, done: tuple[Range, ...]) -> Brought:
        """Bring one version of the file, and check its digests."""
        head = opened.head
        self._total, self._here, self._work = head.size, 0, None
        known = [digest for digest in (self._order.expected, head.digest) if digest is not None]
        also = ("sha256",) if self._order.computes else ()
        verifier = Verifier(self._part.descriptor, known, self._frontier, also=also)
        if head.size is None or head.size >= LEAST_SIZE:
            verifier.start()
        try:
            if done or takes_parts(head):
                self._bring_parts(opened, head.size or 0, done)
                size = head.size or 0
            else:
                size = self._bring_whole(opened)
            digests = verifier.finish(head.url, size)
        finally:
            verifier.cancel()
        return Brought(head, size, digests.get("sha256"))

    def _frontier(self) -> int:
        """Return how many bytes are there from the start without a gap."""
        work = self._work
        if work is None:
            return self._here
        with work.lock:
            return work.spans.frontier()

    # --- a source that gives the whole or nothing ---

    def _bring_whole(self, opened: Opened) -> int:
        """Write the body from its start; a broken one is asked for from the start again."""
        self._part.resize(0)
        limits, at, checked = self._order.limits, 0, 0
        try:
            for piece in opened.chunks():
                limits.check(opened.head, at + len(piece))
                if opened.head.size is None and at - checked >= _ROOM_EVERY:
                    limits.check_room(opened.head, self._part.path.parent)
                    checked = at
                self._part.write_at(piece, at)
                at += len(piece)
                self._here = at
                self._patience.note(max(0, at - self._high))
                self._high = max(self._high, at)
                self._tick()
        except DownloadError as error:
            opened.close()
            again = self._attempts.after(error, lambda: self._reopen(Ask(), self._watch))
            raise _AnewError(again) from None
        opened.close()
        return at

    # --- a source that gives parts ---

    def _bring_parts(self, opened: Opened, size: int, done: tuple[Range, ...]) -> None:
        """Fetch every span, with helpers where they help."""
        if not done:
            self._part.resize(0)
        self._part.resize(size)
        work = Work(opened.head, self._part, Spans(size, done), self._patience, self._high)
        most = self._order.connections if size >= LEAST_SIZE and not self._is_alone else 1
        self._crew = Crew(work, most, time.monotonic())
        self._work, self._first = work, opened
        try:
            self._run_spans(work, opened)
        except _StuckError:
            raise work.failure or OSError from None
        finally:
            self._stop(work)

    def _stop(self, work: Work) -> None:
        """End the helpers and the journal's thread; remember what is here if it is not all."""
        if self._crew is not None:
            self._crew.stop()
        self._crew, self._first = None, None
        self._high = work.high
        self._is_alone = self._is_alone or work.refuses
        if self._saving is not None:
            self._saving.join()
        if not work.spans.complete and not work.changed:
            self._save(work)

    def _run_spans(self, work: Work, opened: Opened) -> None:
        """Read span after span over the first connection until every byte is here."""
        failure: DownloadError | None = None
        with work.lock:
            span = work.spans.take_first()
        while True:
            if span is not None:
                failure = self._read(work, opened, span)
            with work.lock:
                if work.spans.complete:
                    return
                span = self._next_span(work)
            if span is None:
                self._patience.remaining()
                self._tick()
                continue
            opened = self._open_span(work, span, failure)
            failure = None

    def _next_span(self, work: Work) -> Span | None:
        """Take a span; from a helper that brings nothing if there is no other."""
        span = work.spans.take(self._crew.part_size if self._crew else work.spans.size)
        if span is not None:
            return span
        before = work.spans.done_bytes
        work.lock.wait(_LOOK_EVERY)
        now = time.monotonic()
        if work.spans.done_bytes != before or not self._moved_at:
            self._moved_at = now
        if now - self._moved_at < _STUCK:
            return None
        self._moved_at = 0.0
        return work.spans.take_over()

    def _read(self, work: Work, opened: Opened, span: Span) -> DownloadError | None:
        """Read one span; return why it is not whole, if it is not."""
        self._first = opened
        before = work.spans.done_bytes
        try:
            work.pump(opened, span, self._tick)
        except DownloadError as error:
            if not error.retryable:
                raise
            return error
        finally:
            opened.close()
            work.give_back(span)
            if work.spans.done_bytes - before >= _USEFUL:
                self._attempts.progressed()
        return None

    def _open_span(self, work: Work, span: Span, failure: DownloadError | None) -> Opened:
        """Open the part that *span* needs; tried again while that is worth it."""
        ask = Ask(span.at, span.stop, work.head.etag)
        try:
            if failure is not None:
                return self._attempts.after(failure, lambda: self._fitting(work, ask, again=True))
            try:
                return self._fitting(work, ask, again=False)
            except DownloadError as error:
                return self._attempts.after(error, lambda: self._fitting(work, ask, again=True))
        except BaseException:
            work.give_back(span)
            raise

    def _fitting(self, work: Work, ask: Ask, *, again: bool) -> Opened:
        """Open a part of the very same version, or raise _AnewError with the file's start."""
        beside = self._first.beside if self._first is not None else None
        try:
            if again or beside is None:
                opened = self._reopen(ask, self._watch)
            else:
                opened = beside(ask, replace(self._watch, first_byte=FIRST_BYTE))
        except SourceStatusError as error:
            if error.status not in _PRECONDITION:
                raise
            raise _AnewError(self._reopen(Ask(), self._watch)) from None
        found = fit(work.head, ask.start, opened.head, opened.start)
        if found == "part":
            return opened
        self._is_alone = True
        if opened.start == 0:
            raise _AnewError(opened)
        opened.close()
        raise _AnewError(self._reopen(Ask(), self._watch))

    # --- what is due a few times a second ---

    def _tick(self) -> None:
        """Do what is due; called between pieces, and while nothing comes."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        work = self._work
        if work is not None:
            self._here = work.spans.done_bytes
            self._look_at(work, now)
        if self._order.report is not None and now >= self._next_report:
            self._next_report = now + _REPORT_EVERY
            self._order.report(self._here, self._total)

    def _look_at(self, work: Work, now: float) -> None:
        """Heed what helpers found, have as many as help, and keep the journal."""
        if work.failure is not None:
            raise _StuckError
        if work.changed:
            self._work = None
            raise _AnewError(self._attempts.first(lambda: self._reopen(Ask(), self._watch)))
        if self._crew is not None and self._first is not None:
            self._crew.adjust(self._first, now)
        if now >= self._next_journal and (self._saving is None or not self._saving.is_alive()):
            self._next_journal = now + _JOURNAL_EVERY
            self._saving = threading.Thread(target=self._save, args=(work,), daemon=True)
            self._saving.start()

    def _save(self, work: Work) -> None:
        """Write down what is here, once it is on the disk."""
        journal, head = self._order.journal, work.head
        if journal is None or head.etag is None or head.size is None:
            return
        with work.lock:
            done = tuple(work.spans.done())
        if done:
            self._part.sync()
            journal.write(Saved(str(self._part.path), head.size, head.etag, done))
