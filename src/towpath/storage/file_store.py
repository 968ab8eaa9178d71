"""The store of files: bytes somewhere, and the index over them."""

import base64
import fcntl
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import BinaryIO, TextIO

from towpath.clock import Clock, system_clock
from towpath.errors import ObjectNotFoundError
from towpath.errors.redaction import shown
from towpath.storage.blobs import Blobs
from towpath.storage.disk import told
from towpath.storage.records import ID_PATTERN, Page, StoredFile, Usage, Wanted
from towpath.storage.sound_catalog import SoundCatalog
from towpath.storage.staging import Incoming, NewFile

__all__ = ["FileStore", "new_file_id"]

_BATCH = 500
_LEFTOVER_SECONDS = 3600.0
_LONGEST_PAGE = 1000
_LINK_SECONDS = 300
_LINK_SHARE = 5  # for the first fifth of its life a link is given to whoever asks
_MOST_LINKS = 4096


def new_file_id() -> str:
    """Return a fresh id: 160 random bits."""
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


class FileStore:
    """Files: saved durably, found by id, gone from the second they expire.

    Several processes of one machine may use the same folder, several machines the same bucket.

    Args:
        blobs: where the bytes lie.
        clock: the wall clock.
        new_id: makes ids.
    """

    def __init__(
        self,
        blobs: Blobs,
        *,
        clock: Clock = system_clock,
        new_id: Callable[[], str] = new_file_id,
    ) -> None:
        self.blobs = blobs
        self._clock = clock
        self._lock: TextIO | None = None
        self._new_id = new_id
        self._links: dict[tuple[str, int | None], tuple[str | None, float]] = {}
        self.is_local = blobs.is_local
        self._catalog = SoundCatalog(blobs.root / "index.db")

    def save(self, new: NewFile) -> StoredFile:
        """Save a file; durable, and readable by everybody, when this returns.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            StoreUnusableError: the disk, or the object store, does not do it; nothing is left.
            ObjectNotFoundError: its reserved place was given up or completed before.
            OSError: the data cannot be read.
        """
        with told(self.blobs.root):
            return self._saved(new)

    def _saved(self, new: NewFile) -> StoredFile:
        """Save a file."""
        if new.reserved is not None and not self.blobs.is_held(new.reserved):
            raise ObjectNotFoundError(new.reserved)
        staged = self.blobs.stage(new, partial(self._described, new))
        if new.reserved is not None and not self.blobs.release(new.reserved):
            staged.discard()
            raise ObjectNotFoundError(new.reserved)
        try:
            self.blobs.publish(staged, lambda: self._catalog.add([staged.record()]))
        except BaseException:
            self._give_up(staged.id, is_reserved=new.reserved is not None)
            raise
        return staged.record()

    def _give_up(self, file_id: str, *, is_reserved: bool) -> None:
        """Forget a file that could not be saved; its reserved place may be tried again."""
        with suppress(Exception):  # a row without bytes is forgotten sooner or later
            self._catalog.forget([file_id])
        if is_reserved:
            with suppress(OSError):
                self.blobs.hold(file_id)

    def _described(self, new: NewFile, size: int, sha256: str) -> StoredFile:
        """Return what is known of a new file."""
        now = self._clock()
        return StoredFile(
            id=new.reserved or self._new_id(),
            name=new.name,
            content_type=new.content_type,
            size=size,
            sha256=sha256,
            created=now,
            expires=None if new.lifetime is None else int(now) + new.lifetime,
            owner=new.owner,
        )

    def incoming(self) -> Incoming:
        """Begin a file whose bytes come one after the other; save it as the data of a NewFile."""
        with told(self.blobs.root):
            return self.blobs.incoming()

    def hold(self) -> str:
        """Make a place for a file that is still to come; return its id."""
        file_id = self._new_id()
        with told(self.blobs.root):
            self.blobs.hold(file_id)
        return file_id

    def release(self, file_id: str) -> None:
        """Give a place up."""
        with told(self.blobs.root):
            self.blobs.release(file_id)

    def find(self, file_id: str) -> StoredFile:
        """Return what is known of *file_id*.

        Raises:
            ObjectNotFoundError: there is no such file.
            ObjectExpiredError: its life is over.
        """
        record = self._catalog.find(file_id) if ID_PATTERN.fullmatch(file_id) else None
        if record is None:
            record = self.blobs.record_of(file_id)
            if record is None:
                raise ObjectNotFoundError(file_id, is_pending=self.blobs.is_held(file_id))
            self._catalog.add([record])
        return record.checked(self._clock())

    def indexed(self, file_id: str) -> StoredFile | None:
        """Return what the index knows of *file_id*, None if that is nothing: no disk, no network.

        Raises:
            ObjectExpiredError: its life is over.
        """
        record = self._catalog.find(file_id)
        return None if record is None else record.checked(self._clock())

    def open(self, record: StoredFile) -> BinaryIO:
        """Open the bytes of *record*.

        Raises:
            ObjectNotFoundError: they were removed.
        """
        try:
            return self.blobs.open(record.id)
        except FileNotFoundError:
            record.checked(self._clock())
            raise ObjectNotFoundError(record.id) from None

    def pieces(self, record: StoredFile, start: int, stop: int) -> Iterator[bytes]:
        """Yield some of the bytes of *record*.

        Raises:
            ObjectNotFoundError: at the call: they were removed.
            StoreUnusableError: the store does not answer.
        """
        try:
            return self.blobs.pieces(record.id, start, stop)
        except FileNotFoundError:
            raise ObjectNotFoundError(record.id) from None

    def link(self, record: StoredFile) -> str | None:
        """Return a URL of the object store itself for a few minutes; None where there is none."""
        now, key = self._clock(), (record.id, record.expires)
        url, until = self._links.get(key, (None, 0.0))
        if now < until:
            return url
        left = _LINK_SECONDS
        if record.expires is not None:
            left = max(1, min(left, int(record.expires - now)))
        url = self.blobs.sign(record.id, left)
        if len(self._links) >= _MOST_LINKS:
            self._links.clear()
        self._links[key] = url, now + left / _LINK_SHARE
        return url

    def page(
        self,
        *,
        owner: str | None = None,
        expired: bool = False,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """List files, the oldest first.

        Args:
            owner: only those of this one.
            expired: those whose life is over, instead of those that can be read.
            cursor: of the page before.
            limit: at most so many, 1 to 1000.

        Raises:
            ValueError: the cursor is none of ours, or the limit is outside.
        """
        if not 1 <= limit <= _LONGEST_PAGE:
            message = f"a limit of {limit} is outside 1 to {_LONGEST_PAGE}"
            raise ValueError(message)
        after = None if cursor is None else _position(cursor)
        wanted = Wanted(self._clock(), owner, expired, after, limit + 1)
        files = self._catalog.page(wanted)
        if len(files) <= limit:
            return Page(files, None)
        return Page(files[:limit], f"{files[limit - 1].created!r}~{files[limit - 1].id}")

    def usage(self) -> list[Usage]:
        """Return what each owner's files take, the largest first."""
        return self._catalog.usage(self._clock())

    def set_life(self, file_id: str, lifetime: int | None) -> StoredFile:
        """Let a file live so many seconds from now; None = keep it. Durable when this returns.

        Raises:
            ObjectNotFoundError: there is no such file.
            ObjectExpiredError: its life is over; that is final.
        """
        record = self.find(file_id)
        expires = None if lifetime is None else int(self._clock()) + lifetime
        changed = replace(record, expires=expires)
        with told(self.blobs.root):
            self.blobs.rewrite(changed)
        self._catalog.set_expiry(file_id, expires)
        return changed

    def remove(self, file_id: str) -> None:
        """Remove a file at once; its URL is 404 from now on.

        Raises:
            ObjectNotFoundError: there is no such file.
        """
        known = ID_PATTERN.fullmatch(file_id) is not None
        if not known or (self._catalog.find(file_id) or self.blobs.record_of(file_id)) is None:
            raise ObjectNotFoundError(file_id)
        with told(self.blobs.root):
            self.blobs.delete([file_id])
        self._catalog.forget([file_id])

    def totals(self) -> tuple[int, int]:
        """Return how many files there are and their bytes."""
        return self._catalog.totals()

    def sweep_expired(self) -> int:
        """Remove the bytes of files whose life is over; return how many."""
        removed = 0
        while batch := self._catalog.expired(self._clock(), limit=_BATCH):
            self.blobs.delete(record.id for record in batch)
            self._catalog.mark_gone(record.id for record in batch)
            removed += len(batch)
        return removed

    def lay_out(self) -> None:
        """Make what saves would have to make otherwise; servers do before they serve."""
        self.blobs.lay_out()

    def recover(self) -> int:
        """Index every whole file on disk and remove what killed saves left; return the leftovers.

        Serving need not wait for this: a file that the index lacks is found by its sidecar.
        """
        for listed in self.blobs.listed():
            unknown = self._catalog.unknown(listed.whole)
            self._catalog.add(self.blobs.records_of(unknown))
        older_than = time.time() - _LEFTOVER_SECONDS
        return self._forget_missing(older_than) + self.blobs.sweep(older_than=older_than)

    def _forget_missing(self, older_than: float) -> int:
        """Remove rows whose bytes are not there; return how many."""
        last, removed = "", 0
        while ids := self._catalog.older(older_than, after=last, limit=_BATCH):
            last = ids[-1]
            if missing := self.blobs.missing(ids):
                self._catalog.lose(missing, self._clock())
            removed += len(missing)
        return removed

    def elect(self) -> bool:
        """Return whether this process is the one that sweeps; it stays so until `close`.

        Nothing depends on there being one: several that sweep do the same work twice.
        """
        if self._lock is None:
            lock = (self.blobs.root / "lock").open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                return False
            self._lock = lock
        return True

    def close(self) -> None:
        """Close the index, and let another process sweep."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self._catalog.close()


def _position(cursor: str) -> tuple[float, str]:
    """Read a cursor.

    Raises:
        ValueError: it is none of ours.
    """
    created, _, file_id = cursor.partition("~")
    try:
        return float(created), file_id
    except ValueError:
        message = f"{shown(cursor, 60)!r} is no cursor; take the one that the page before gave"
        raise ValueError(message) from None
