"""`sqlite:///…` or `postgresql+psycopg://…` -> the queue in it."""

from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from towpath.clock import Clock
from towpath.database import open_database
from towpath.errors import SettingsError
from towpath.errors.redaction import shown
from towpath.queue.payloads import Payloads
from towpath.queue.store import RequestQueue

__all__ = ["open_queue"]


def open_queue(
    url: str, clock: Clock, *, max_length: int, reserve: int | None = None
) -> RequestQueue:
    """Open the queue; its tables are made where there are none.

    Args:
        url: the database.
        clock: moments that are written down.
        max_length: requests of one app that may wait.
        reserve: bytes that stay free on the disk, as set.

    Raises:
        SettingsError: the database cannot be opened.
        StoreUnusableError: a newer towpath has changed its tables.
    """
    engine = open_database(url)
    path = Path(url.removeprefix("sqlite:///"))
    is_ours = engine.dialect.name == "sqlite"
    payloads = Payloads(path.with_suffix(".bodies"), reserve) if is_ours else None
    try:
        return RequestQueue(engine, clock, max_length=max_length, payloads=payloads)
    except SQLAlchemyError as error:
        reason = shown(str(error.__cause__ or error).partition("\n")[0], 200)
        message = f"TOWPATH_DATABASE cannot be used: {reason}"
        raise SettingsError(message) from None
