"""Try again what is worth it, for as long as patience lasts."""

import logging
import secrets
from collections.abc import Callable
from typing import TypeVar

from towpath.downloads.retries import pause_before
from towpath.errors import DownloadError, SourceUnavailableError
from towpath.errors.redaction import shown_url
from towpath.net.patience import Patience

__all__ = ["Attempts"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_STEP = 0.1


class Attempts:
    """Counts the failures of one download that follow each other without progress.

    Args:
        patience: what bounds them.
        on_wait: called a few times a second while nothing is tried.
    """

    def __init__(self, patience: Patience, on_wait: Callable[[], None] | None = None) -> None:
        self.patience = patience
        self._on_wait = on_wait
        self._failed = 0

    def first(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, tried again while its failures are worth it.

        Raises:
            DownloadError: what the last attempt raised.
        """
        try:
            return work()
        except DownloadError as error:
            return self.after(error, work)

    def after(self, error: DownloadError, work: Callable[[], T]) -> T:
        """Do *work* again after it, or what came before it, failed with *error*.

        Raises:
            DownloadError: what the last attempt raised; what the one before it raised, where the
                last one only ran out of the time that all of them share.
        """
        while True:
            self._pause(error)
            try:
                return work()
            except DownloadError as another:
                if self._is_end(another):
                    raise error from another
                error = another

    def progressed(self) -> None:
        """Forget earlier failures: a useful amount of bytes came."""
        self._failed = 0

    def _is_end(self, error: DownloadError) -> bool:
        """Tell whether *error* says no more than that patience is over."""
        return isinstance(error, SourceUnavailableError) and self.patience.left() <= 0

    def _pause(self, error: DownloadError) -> None:
        """Wait before the next attempt, or raise *error* when there is none."""
        self._failed += 1
        chance = secrets.randbelow(1000) / 1000
        pause = pause_before(error, self._failed, left=self.patience.left(), chance=chance)
        if pause is None:
            raise error
        _log.info(
            "download is tried again",
            extra={"url": shown_url(error.url), "in_seconds": round(pause, 1), "why": error.reason},
        )
        while pause > 0:
            self.patience.wait(min(pause, _STEP))
            pause -= _STEP
            if self._on_wait is not None:
                self._on_wait()
