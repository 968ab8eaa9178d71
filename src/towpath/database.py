"""Open the databases: SQLite with the pragmas that make it durable and shareable."""

from functools import partial
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

from sqlalchemy import Engine, create_engine, event

__all__ = ["open_sqlite"]

_BUSY_SECONDS = 30


def open_sqlite(path: Path, *, is_derived: bool = False) -> Engine:
    """Return an engine for the SQLite file at *path*: WAL, full sync, waits for other writers.

    Safe for several processes on one machine; the file must not lie on a network file system.

    Args:
        path: the file.
        is_derived: whether all it holds can be found elsewhere: then commits are not synced one
            by one, and a power cut costs the last rows, never the file.
    """
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
    )
    event.listen(engine, "connect", partial(_configure, "NORMAL" if is_derived else "FULL"))
    return engine


def _configure(syncing: str, connection: SqliteConnection, _record: object) -> None:
    """Set the pragmas of one connection."""
    for pragma in ("journal_mode=WAL", f"synchronous={syncing}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
