"""A queue's database that cannot be opened yet: tried again while the server serves without it.

Files and direct calls need no queue. A server that ends because its disk is full, or because the
queue's file is damaged, takes them away too, and a restart, the first thing that an operator tries,
makes it worse. So the reason is logged with the path and what to do, each use of the queue is an
error with a sentence, and the database is opened as soon as it can be. A file is never removed or
replaced here: it may hold requests that can be saved.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Engine

from towpath.clock import Clock
from towpath.database import migrate
from towpath.errors import QueueUnavailableError
from towpath.queue.tables import STEPS, metadata
from towpath.queue.transactions import (
    DRIVER_ERRORS,
    Session,
    Transactions,
    open_transactions,
    unavailable,
)

__all__ = ["open_now_or_later"]

T = TypeVar("T")

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_FREE = "free some space; it is opened then"
_MEND = (
    "stop the server and move the file away, with its -wal and -shm: the requests in it are lost, "
    "unless `sqlite3 FILE .recover` saves them"
)


def open_now_or_later(engine: Engine, clock: Clock) -> Transactions:
    """Open the queue's database; when SQLite's file cannot be used, return what tries again.

    Args:
        engine: the database; its tables are made, or brought to their newest form.
        clock: a steady one.
    """
    opened = partial(_opened, engine)
    try:
        return opened()
    except DRIVER_ERRORS as error:
        if engine.dialect.name != "sqlite":
            raise
        reason = unavailable(error, engine.url.database)
        log.error(  # noqa: TRY400 - SQLAlchemy's own frames say nothing to an operator
            "the queue cannot be opened; files and direct calls are served without it",
            extra={
                "path": str(engine.url.database),
                "reason": reason.reason,
                "advice": _FREE if reason.is_full else _MEND,
            },
        )
        return _Late(clock, opened, reason, path=engine.url.database)


def _opened(engine: Engine) -> Transactions:
    """Open the database, its tables in their newest form."""
    migrate(engine, "queue", metadata, STEPS)
    return open_transactions(engine)


class _Late:
    """Transactions of a database that is opened later.

    Args:
        clock: a steady one.
        opened: opens it.
        reason: why it could not be opened the last time.
        path: of its file.
    """

    def __init__(
        self,
        clock: Clock,
        opened: Callable[[], Transactions],
        reason: QueueUnavailableError,
        *,
        path: str | None,
    ) -> None:
        self._path = path
        self._clock = clock
        self._opened = opened
        self._reason = reason
        self._again_at = clock() + _PAUSE_SECONDS
        self._inner: Transactions | None = None
        self._lock = threading.Lock()

    def write(self, work: Callable[[Session], T]) -> T:
        """Run *work* in a transaction that is on the disk once this returns."""
        return self._now().write(work)

    def read(self, work: Callable[[Session], T]) -> T:
        """Run *work*, which changes nothing."""
        return self._now().read(work)

    def alone(self, work: Callable[[Session], T]) -> T | None:
        """Run *work*, a single statement, as a transaction; None where that is no quicker."""
        return self._now().alone(work)

    def close(self) -> None:
        """Close the database, if it was opened."""
        if self._inner is not None:
            self._inner.close()

    def _now(self) -> Transactions:
        """Return the open database.

        Raises:
            QueueUnavailableError: it cannot be opened.
        """
        with self._lock:
            if self._inner is None and self._clock() >= self._again_at:
                self._try()
            if self._inner is None:
                why = self._reason
                raise QueueUnavailableError(why.reason, is_full=why.is_full, damaged=why.damaged)
            return self._inner

    def _try(self) -> None:
        """Open the database, or note why it cannot be."""
        try:
            self._inner = self._opened()
        except DRIVER_ERRORS as error:
            self._reason = unavailable(error, self._path)
            self._again_at = self._clock() + _PAUSE_SECONDS
        else:
            log.info("the queue is open")
