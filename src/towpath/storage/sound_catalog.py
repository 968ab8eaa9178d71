"""The index of a store, until SQLite says that its file is damaged: then what stands for it.

The naive way opens the index and trusts it from then on. It fails where a page in the middle is
damaged: the file opens, and each read, save and list ends with "database disk image is malformed",
after a restart too. The index is only a help, so lookups go on without it, as on a full disk
(`storage.late_catalog`). A mark beside the file lets whoever opens the index next, in any process,
set it aside and begin a new one, which sidecars fill: each file as it is read, all of them at the
next recovery.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from towpath.clock import steady_clock
from towpath.database import DATABASE_ERRORS, is_damaged
from towpath.storage.catalog import Catalog, mark_damaged, open_catalog
from towpath.storage.late_catalog import LateCatalog, open_index
from towpath.storage.records import StoredFile, Usage, Wanted

__all__ = ["SoundCatalog"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class SoundCatalog:
    """An index that does without its file once that is damaged.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inner: Catalog | LateCatalog = open_index(path)
        self._lock = threading.Lock()

    def _do(self, work: Callable[[Catalog | LateCatalog], _T]) -> _T:
        """Return what the index answers; what stands for it, if its file is damaged."""
        inner = self._inner
        try:
            return work(inner)
        except DATABASE_ERRORS as error:
            if not is_damaged(error):
                raise
            self._do_without(inner, error)
        return work(self._inner)

    def _do_without(self, inner: Catalog | LateCatalog, error: Exception) -> None:
        """Tell the operator, mark the file, and go on without it."""
        with self._lock:
            if self._inner is not inner:
                return
            mark_damaged(self._path)
            reopened = partial(open_catalog, self._path)
            self._inner = LateCatalog(reopened, steady_clock(), "its file is damaged")
        advice = "nothing: files are served, a new index is begun, and is whole within the hour"
        extra = {"path": str(self._path), "reason": str(error).splitlines()[0], "advice": advice}
        log.error("the store's index is damaged", extra=extra)

    def find(self, file_id: str) -> StoredFile | None:
        """See `Catalog.find`."""
        return self._do(lambda inner: inner.find(file_id))

    def expired(self, now: float, *, limit: int) -> list[StoredFile]:
        """See `Catalog.expired`."""
        return self._do(lambda inner: inner.expired(now, limit=limit))

    def older(self, before: float, *, after: str, limit: int) -> list[str]:
        """See `Catalog.older`."""
        return self._do(lambda inner: inner.older(before, after=after, limit=limit))

    def unknown(self, ids: Sequence[str]) -> list[str]:
        """See `Catalog.unknown`."""
        return self._do(lambda inner: inner.unknown(ids))

    def totals(self) -> tuple[int, int]:
        """See `Catalog.totals`."""
        return self._do(lambda inner: inner.totals())

    def add(self, records: Iterable[StoredFile]) -> None:
        """See `Catalog.add`."""
        rows = list(records)
        self._do(lambda inner: inner.add(rows))

    def forget(self, ids: Iterable[str]) -> None:
        """See `Catalog.forget`."""
        listed = list(ids)
        self._do(lambda inner: inner.forget(listed))

    def lose(self, ids: Iterable[str], now: float) -> None:
        """See `Catalog.lose`."""
        listed = list(ids)
        self._do(lambda inner: inner.lose(listed, now))

    def mark_gone(self, ids: Iterable[str]) -> None:
        """See `Catalog.mark_gone`."""
        listed = list(ids)
        self._do(lambda inner: inner.mark_gone(listed))

    def page(self, wanted: Wanted) -> list[StoredFile]:
        """See `Catalog.page`."""
        return self._do(lambda inner: inner.page(wanted))

    def usage(self, now: float) -> list[Usage]:
        """See `Catalog.usage`."""
        return self._do(lambda inner: inner.usage(now))

    def set_expiry(self, file_id: str, expires: int | None) -> None:
        """See `Catalog.set_expiry`."""
        self._do(lambda inner: inner.set_expiry(file_id, expires))

    def close(self) -> None:
        """Close the database."""
        self._inner.close()
