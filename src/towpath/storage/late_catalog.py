"""The index of a store whose disk is full: reads go on without it, and it is opened once it can be.

SQLite needs some room to open a database, so a restart on a full disk found no index, and the whole
server ended. The index is only a help: sidecars hold all it knows, and a file that the index lacks
is found by its sidecar. So lookups miss, notes are dropped (the next recovery makes them up), and
only lists, which have no other source, are refused until there is room.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from towpath.clock import Clock, steady_clock
from towpath.errors import StoreUnusableError
from towpath.storage.catalog import Catalog, open_catalog
from towpath.storage.records import StoredFile, Usage, Wanted

__all__ = ["LateCatalog", "open_index"]

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_ROOM = 2**20


def open_index(path: Path) -> "Catalog | LateCatalog":
    """Open the index; one whose disk is full is opened later.

    Raises:
        StoreUnusableError: it cannot be opened for another reason.
    """
    try:
        return open_catalog(path)
    except StoreUnusableError as error:
        if shutil.disk_usage(path.parent).free >= _ROOM:
            raise
        advice = "free some space: files are served, and none can be saved or listed until then"
        log.error("the disk is full", extra={"reason": str(error), "advice": advice})  # noqa: TRY400 - SQLAlchemy's frames say nothing
        return LateCatalog(lambda: open_catalog(path), steady_clock())


class LateCatalog:
    """Stands for an index that cannot be opened yet.

    Args:
        opened: opens it.
        clock: a steady one.
        why: what keeps it from being opened.
    """

    def __init__(
        self, opened: Callable[[], Catalog], clock: Clock, why: str = "its disk is full"
    ) -> None:
        self._opened = opened
        self._why = why
        self._clock = clock
        self._again_at = clock() + _PAUSE_SECONDS
        self._inner: Catalog | None = None
        self._lock = threading.Lock()

    def _now(self) -> Catalog | None:
        """Return the index if it can be opened."""
        with self._lock:
            if self._inner is None and self._clock() >= self._again_at:
                self._again_at = self._clock() + _PAUSE_SECONDS
                try:
                    self._inner = self._opened()
                except StoreUnusableError:
                    return None
                log.info("the store's index is open")
            return self._inner

    def _needed(self) -> Catalog:
        """Return the index.

        Raises:
            StoreUnusableError: it cannot be opened.
        """
        inner = self._now()
        if inner is None:
            message = f"The store's index cannot be opened, because {self._why}."
            raise StoreUnusableError(message)
        return inner

    # --- what is found without the index ---

    def find(self, file_id: str) -> StoredFile | None:
        """Return the row of *file_id*, None while there is no index."""
        inner = self._now()
        return inner.find(file_id) if inner else None

    def expired(self, now: float, *, limit: int) -> list[StoredFile]:
        """Return files whose life is over; none are known while there is no index."""
        inner = self._now()
        return inner.expired(now, limit=limit) if inner else []

    def older(self, before: float, *, after: str, limit: int) -> list[str]:
        """Return ids of files; none are known while there is no index."""
        inner = self._now()
        return inner.older(before, after=after, limit=limit) if inner else []

    def unknown(self, ids: Sequence[str]) -> list[str]:
        """Return ids that have no row; none while there is no index to put them in."""
        inner = self._now()
        return inner.unknown(ids) if inner else []

    def totals(self) -> tuple[int, int]:
        """Return how many files there are and their bytes; 0 while there is no index."""
        inner = self._now()
        return inner.totals() if inner else (0, 0)

    # --- notes ---

    def add(self, records: Iterable[StoredFile]) -> None:
        """Write rows."""
        if inner := self._now():
            inner.add(records)

    def forget(self, ids: Iterable[str]) -> None:
        """Remove rows; a row without its bytes is removed by the next recovery."""
        if inner := self._now():
            inner.forget(ids)

    def lose(self, ids: Iterable[str], now: float) -> None:
        """Note that the bytes of *ids* are not there."""
        if inner := self._now():
            inner.lose(ids, now)

    def mark_gone(self, ids: Iterable[str]) -> None:
        """Note that the bytes of *ids* were removed."""
        if inner := self._now():
            inner.mark_gone(ids)

    # --- what needs the index ---

    def page(self, wanted: Wanted) -> list[StoredFile]:
        """Return files, the oldest first."""
        return self._needed().page(wanted)

    def usage(self, now: float) -> list[Usage]:
        """Return what each owner's files take."""
        return self._needed().usage(now)

    def set_expiry(self, file_id: str, expires: int | None) -> None:
        """Change the second from which a file is gone."""
        self._needed().set_expiry(file_id, expires)

    def close(self) -> None:
        """Close the database, if it was opened."""
        if self._inner is not None:
            self._inner.close()
