"""One download from the first look at what is here to the file under its name."""

import logging
import os
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from towpath.downloads.attempts import Attempts
from towpath.downloads.cache import evict
from towpath.downloads.contents import check_contents
from towpath.downloads.digests import file_digest
from towpath.downloads.hub_source import is_pinned
from towpath.downloads.journal import Journal, Saved
from towpath.downloads.landing import Landing, prepared, published, writing_to
from towpath.downloads.ledger import Ledger
from towpath.downloads.limits import Limits
from towpath.downloads.opening import Opener, opener_of
from towpath.downloads.part import Part, sweep
from towpath.downloads.places import digest_of
from towpath.downloads.progress import reporting
from towpath.downloads.reuse import Digest, Facts, Head, fit, verdict
from towpath.downloads.sources import Ask, Opened
from towpath.downloads.spans import Range, Spans
from towpath.downloads.transfer import Order, Transfer
from towpath.downloads.wanted import Wanted
from towpath.errors import DiskFullError, DownloadError, FileTooLargeError, SourceStatusError
from towpath.errors.redaction import shown_url
from towpath.media.content_types import extension_of
from towpath.media.data_uri import is_data_uri
from towpath.media.names import with_mark
from towpath.net.patience import Patience, Watch
from towpath.settings import active

__all__ = ["Errand", "limits_of", "name_of"]

_log = logging.getLogger(__name__)
_LEAST_KEPT = 2**20
_PRECONDITION = frozenset({412, 416})


def limits_of(given: int | None) -> Limits:
    """Return the limits of a download: what the call gives, and what the settings say."""
    settings = active()
    return Limits(given, settings.download_undeclared_max_bytes, settings.store_reserve)


def name_of(head: Head) -> str:
    """Return the name that the source gives, or one made of the URL's hash."""
    if head.name:
        return head.name
    digest = digest_of(head.url)[:32]
    is_inline = is_data_uri(head.url)
    return f"{digest}.{extension_of(head.content_type or '')}" if is_inline else digest


@dataclass(slots=True)
class Errand:
    """Brings what is wanted to its folder, if it is not there already.

    Attributes:
        wanted: what is asked for.
        landing: where it goes.
        ledger: what is known.
        force: whether what is here counts for nothing.
        claimed: the path that was claimed for it, once its name is known.
        has_other_time: whether what is here has its size, and was written at another time.
    """

    wanted: Wanted
    landing: Landing
    ledger: Ledger
    force: bool = False
    claimed: Path | None = None
    has_other_time: bool = False

    def run(self) -> Path:
        """Return the path of the file.

        Raises:
            DownloadError: it could not be brought here.
        """
        began = time.time()
        facts = None if self.force else self._facts()
        if facts is not None and self._is_pinned(facts) and self._is_right(facts):
            return self._hit(facts)
        with self.ledger.lock(self.landing.key, self._progress_of_others) as has_waited:
            if not self.force and (has_waited or self.has_other_time):
                facts = self._facts() or self._proven()
                if facts is not None and self._is_fresh(facts, began) and self._is_right(facts):
                    return self._hit(facts)
            try:
                return self._fetch(facts)
            except BaseException:
                self.ledger.abandon(self.landing.key, self.claimed)
                raise

    # --- what is here ---

    def _facts(self) -> Facts | None:
        """Return what is known of the file, if it is still what it was."""
        facts = self.ledger.facts(self.landing.key)
        if facts is None:
            return None
        path = self.landing.folder / facts.name
        if self.ledger.have(path, facts) is not None:
            return facts
        have = self.ledger.have(path, None)
        self.has_other_time = have is not None and have.size == facts.size
        return None

    def _proven(self) -> Facts | None:
        """Return what is known of a file that has another time, if its content is what it was.

        tar, zip, FAT and the layers of images cut times; the digest tells that from a change.
        """
        facts = self.ledger.facts(self.landing.key)
        if not self.has_other_time or facts is None or facts.sha256 is None:
            return None
        path = self.landing.folder / facts.name
        with suppress(OSError), path.open("rb") as file:
            now = replace(facts, mtime_ns=os.fstat(file.fileno()).st_mtime_ns)
            if file_digest(file.fileno()) == facts.sha256:
                self._note(path, now)
                return now
        return None

    def _is_fresh(self, facts: Facts, began: float) -> bool:
        """Return whether what is here needs no question: pinned, or asked about since *began*."""
        return facts.checked_at >= began or self._is_pinned(facts)

    def _is_pinned(self, facts: Facts) -> bool:
        """Return whether what is here is good without asking the source."""
        age = self.wanted.max_age
        if self.landing.is_weights:
            return age is None or facts.checked_at >= time.time() - age
        return self.wanted.sha256 is not None or is_pinned(self.wanted.url)

    def _is_right(self, facts: Facts) -> bool:
        """Return whether the copy has the digest that is asked for; hash it where that is open."""
        expected = self.wanted.sha256 or facts.sha256
        if self.wanted.verify or (self.wanted.sha256 and facts.sha256 is None):
            path = self.landing.folder / facts.name
            with path.open("rb") as file:
                got = file_digest(file.fileno())
            if facts.sha256 is None and self.wanted.sha256 in {None, got}:
                self._note(path, replace(facts, sha256=got))
            return expected in {None, got}
        return self.wanted.sha256 in {None, facts.sha256}

    def _hit(self, facts: Facts) -> Path:
        """Return the copy that is here, and note its use."""
        limit = self.wanted.limit
        if limit is not None and facts.size > limit:
            raise FileTooLargeError(self.wanted.url, size=facts.size, limit=limit)
        self.ledger.touch(self.landing.key)
        return self.landing.folder / facts.name

    def _progress_of_others(self) -> object:
        """Return something that changes while another process downloads the same."""
        signs: list[int] = []
        saved = self.ledger.journal(self.landing.key).load(self.landing.folder)
        parts = self.landing.folder.glob(f".*.{self.landing.key[:8]}.part")
        for path in [*parts, *([Path(saved.part)] if saved else [])]:
            with suppress(OSError):
                status = path.stat()
                signs += (status.st_mtime_ns, status.st_blocks)
        return signs

    # --- what has to come ---

    def _fetch(self, facts: Facts | None) -> Path:
        """Ask the source, and bring what it has unless that is here."""
        wanted = self.wanted
        if facts is not None and not self._is_right(facts):
            facts = None
        patience = Patience(wanted.url, wanted.patience, deadline=wanted.deadline)
        opener = opener_of(wanted)
        with _Resumed(self.ledger.journal(self.landing.key), self.landing.folder) as resumed:
            if self.force:
                resumed.drop()
            try:
                opened = _first(opener, Attempts(patience), resumed, facts)
            except DownloadError as error:
                if facts is None or not wanted.stale_if_error or not error.retryable:
                    raise
                _log.warning("source unreachable, the copy here is used", extra=_told(error))
                return self._hit(facts)
            with closing(opened):
                return self._take(opened, facts, resumed, opener, patience)

    def _take(
        self,
        opened: Opened,
        facts: Facts | None,
        resumed: "_Resumed",
        opener: Opener,
        patience: Patience,
    ) -> Path:
        """Use an answer: what is here is right, or its body has to come."""
        if opened.not_modified and facts is not None:
            return self._still(facts, opened.head)
        path, is_known = self._claimed(opened.head)
        mine = facts if facts is not None and facts.name == path.name else None
        have = self.ledger.have(path, mine) if mine or not is_known else None
        if self.wanted.sha256 is not None and mine is None:
            have = None  # a file that we know nothing of is not taken for one with this digest
        if verdict(opened.head, have, limit=self.wanted.limit, force=self.force) == "reuse":
            known = mine or Facts(path.name, *_size_and_time(path))
            return self._still(known, opened.head)
        facts = self._bring(opened, path, resumed, opener, patience)
        self._note(path, replace(facts, checked_at=time.time()))
        return path

    def _still(self, facts: Facts, head: Head) -> Path:
        """Return what is here, and note that the source says it is right."""
        etag = head.etag or facts.etag
        modified = head.last_modified or facts.last_modified
        path = self.landing.folder / facts.name
        now = replace(facts, etag=etag, last_modified=modified, checked_at=time.time())
        self._note(path, now)
        return self._hit(now)

    def _bring(
        self,
        opened: Opened,
        path: Path,
        resumed: "_Resumed",
        opener: Opener,
        patience: Patience,
    ) -> Facts:
        """Bring the body to *path*."""
        wanted, landing = self.wanted, self.landing
        limits, journal = limits_of(wanted.limit), self.ledger.journal(landing.key)

        def judge(head: Head) -> None:
            verdict(head, None, limit=wanted.limit, force=True)
            make_room(limits, head, path.parent, resumed.here)

        with writing_to(opened.head, path), reporting(wanted.progress, path.name) as report:
            prepared(path)
            judge(opened.head)
            sweep(path.parent, self.ledger.remembers)
            part = resumed.part or Part.create(path, landing.key[:8])
            order = Order(
                limits,
                wanted.connections,
                Digest("sha256", wanted.sha256) if wanted.sha256 else None,
                landing.is_weights,
                report,
                journal,
            )
            transfer = Transfer(opener, part, order, patience, judge)
            try:
                brought = transfer.run(opened, resumed.done)
                if landing.is_weights:
                    check_contents(brought.head, path.name, part.descriptor)
                facts = published(part, path, brought, is_durable=landing.is_weights)
                journal.remove()
            except BaseException as error:
                self._leave(part, journal, error)
                raise
            finally:
                resumed.part = None
                part.close()
        return facts

    def _leave(self, part: Part, journal: Journal, error: BaseException) -> None:
        """Keep a part that is worth going on with; leave nothing behind otherwise.

        An interrupted download is gone on with, like one whose process was killed; after an error
        only large weights are.
        """
        saved = journal.load(self.landing.folder)
        is_mine = saved is not None and saved.part == str(part.path)
        if saved is not None and is_mine and _is_worth_keeping(saved, error, self.landing):
            return
        part.drop()
        if is_mine:
            journal.remove()

    def _claimed(self, head: Head) -> tuple[Path, bool]:
        """Return the path of the file, and whether a download of ours was there before.

        A name that another URL took gets a mark.
        """
        path = self.landing.folder / name_of(head)
        is_known = self.ledger.is_claimed(path)
        if self.ledger.claim(path, self.landing.key):
            self.claimed = path
            return path, is_known
        marked = path.with_name(with_mark(path.name, self.landing.key[:8]))
        return marked, self.ledger.is_claimed(marked)

    def _note(self, path: Path, facts: Facts) -> None:
        self.ledger.note(self.landing.key, path, facts, shown_url(self.wanted.url))


class _Resumed:
    """A part that an earlier try left, if there is one; given up at the end unless it was taken."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self.saved = journal.load(folder)
        self.part = Part.adopt(Path(self.saved.part)) if self.saved is not None else None
        if self.part is None:
            self.saved = None
        self.done: tuple[Range, ...] = self.saved.done if self.saved is not None else ()

    @property
    def here(self) -> int:
        """Return how many bytes of the part are here."""
        return sum(stop - start for start, stop in self.done)

    def drop(self) -> None:
        """Forget what is here; the part itself is used again."""
        self.saved, self.done = None, ()
        self._journal.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.part is None:
            return
        if self.saved is None:
            self.part.drop()
        self.part.close()


def _first(opener: Opener, attempts: Attempts, resumed: _Resumed, facts: Facts | None) -> Opened:
    """Open the source: where an earlier try ended, else from the start unless nothing changed."""
    watch = Watch(attempts.patience, attempts.patience.tick)
    saved = resumed.saved
    hole = Spans(saved.size, saved.done).first_hole if saved is not None else None
    if saved is None or hole is None:
        resumed.drop()
        return attempts.first(lambda: opener(Ask(known=facts), watch))
    try:
        opened = attempts.first(lambda: opener(Ask(*hole, saved.etag), watch))
    except SourceStatusError as error:
        if error.status not in _PRECONDITION:
            raise
    else:
        expected = replace(opened.head, etag=saved.etag, size=saved.size)
        if fit(expected, hole[0], opened.head, opened.start) == "part":
            return opened
        resumed.drop()
        if opened.start == 0:
            return opened
        opened.close()
    resumed.drop()
    return attempts.first(lambda: opener(Ask(known=facts), watch))


def make_room(limits: Limits, head: Head, folder: Path, here: int) -> None:
    """Check that the disk has room; with a limit of the cache, evict once before giving up.

    Raises:
        DiskFullError: there is no room for it.
    """
    try:
        limits.check_room(head, folder, here=here)
    except DiskFullError:
        if active().cache_max_bytes is None:
            raise
        evict(max(0, (active().cache_max_bytes or 0) - (head.size or 0)))
        limits.check_room(head, folder, here=here)


def _is_worth_keeping(saved: Saved, error: BaseException, landing: Landing) -> bool:
    """Return whether a later call should go on with a part."""
    here = sum(stop - start for start, stop in saved.done)
    if not isinstance(error, Exception):
        return here > 0
    passing = isinstance(error, DownloadError) and (
        error.retryable or isinstance(error, SourceStatusError)
    )
    return landing.is_weights and passing and here >= _LEAST_KEPT


def _size_and_time(path: Path) -> tuple[int, int]:
    """Return what a file's facts need."""
    status = os.lstat(path)
    return status.st_size, status.st_mtime_ns


def _told(error: DownloadError) -> dict[str, str]:
    """Return what a log line says of an error."""
    return {"url": shown_url(error.url), "why": error.reason}
