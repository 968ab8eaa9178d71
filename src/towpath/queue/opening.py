"""`sqlite:///…` or `postgresql+psycopg://…` -> the queue in it."""

from sqlalchemy.exc import SQLAlchemyError

from towpath.clock import Clock
from towpath.database import open_database
from towpath.errors import SettingsError
from towpath.errors.redaction import shown
from towpath.queue.store import RequestQueue

__all__ = ["open_queue"]


def open_queue(url: str, clock: Clock, *, max_length: int) -> RequestQueue:
    """Open the queue; its tables are made where there are none.

    Raises:
        SettingsError: the database cannot be opened.
        StoreUnusableError: a newer towpath has changed its tables.
    """
    engine = open_database(url)
    try:
        return RequestQueue(engine, clock, max_length=max_length)
    except SQLAlchemyError as error:
        reason = shown(str(error.__cause__ or error).partition("\n")[0], 200)
        message = f"TOWPATH_DATABASE cannot be used: {reason}"
        raise SettingsError(message) from None
