"""Open the databases, and bring their tables to the form that this version writes.

SQLite with the pragmas that make it durable and shareable; PostgreSQL as it comes.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError

from towpath.errors import SettingsError, StoreUnusableError

if TYPE_CHECKING:
    from alembic.operations import Operations

__all__ = [
    "DATABASE_ERRORS",
    "Step",
    "is_broken",
    "is_damaged",
    "migrate",
    "open_database",
    "open_sqlite",
]

Step = Callable[["Operations"], object]
"""Changes tables from one form to the next one."""

_BUSY_SECONDS = 30
_CONNECT_SECONDS = 5  # of a PostgreSQL whose machine does not answer; the system's own is minutes
_LOCK = 7_090_771
"""Of PostgreSQL's advisory locks: one program at a time changes tables."""

_PRIMARY = 0xFF
_BROKEN = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB}
)

DATABASE_ERRORS = (sqlite3.DatabaseError, DatabaseError)
"""What a database says, by its own driver and by SQLAlchemy."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_versions = Table(
    "towpath_versions",
    MetaData(),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
)


def open_database(url: str) -> Engine:
    """Return an engine for `sqlite:///path` or `postgresql+psycopg://user@host/name`.

    Raises:
        SettingsError: it is none of these, or PostgreSQL's driver is not installed.
    """
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_sqlite(path)
    try:
        where = make_url(url)
        patience = {"connect_timeout": str(_CONNECT_SECONDS), **where.query}
        return create_engine(
            where.set(query=patience), pool_size=16, max_overflow=16, pool_recycle=1800
        )
    except ModuleNotFoundError:
        message = "PostgreSQL needs its driver: pip install 'towpath[postgres]'."
    except ArgumentError:
        message = "TOWPATH_DATABASE is not an address: sqlite:///path, postgresql+psycopg://…"
    raise SettingsError(message)


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


def is_broken(error: DatabaseError) -> bool:
    """Return whether SQLite says that a file is no database, or none of ours.

    One that is locked, full or read-only is whole, and may be in use
    (https://www.sqlite.org/rescode.html).
    """
    return getattr(error.orig, "sqlite_errorcode", 0) & _PRIMARY in _BROKEN


def is_damaged(error: DatabaseError | sqlite3.DatabaseError) -> bool:
    """Return whether SQLite says that the file of a database in use is damaged."""
    cause = error if isinstance(error, sqlite3.DatabaseError) else error.orig
    return getattr(cause, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGED


def _configure(syncing: str, connection: sqlite3.Connection, _record: object) -> None:
    """Set the pragmas of one connection."""
    for pragma in ("journal_mode=WAL", f"synchronous={syncing}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(engine: Engine, name: str, tables: MetaData, steps: Sequence[Step]) -> None:
    """Make the tables of *name*, or bring them to their newest form; all of it or nothing.

    Tables without a version are of the first one, from before versions were written down. Safe
    when several processes do it at once.

    Args:
        engine: the database.
        name: of these tables.
        tables: as this version writes them.
        steps: from version 1 to 2, from 2 to 3, and so on; never changed once released.

    Raises:
        StoreUnusableError: a newer towpath has changed them.
    """
    newest = len(steps) + 1
    with engine.connect() as connection:
        if _version(connection, name) == newest:
            return
        connection.rollback()
        _claim(connection)
        version = _version(connection, name)  # another process may have been quicker
        if version is None:
            version = _first(connection, tables, newest)
            _versions.create(connection, checkfirst=True)
            connection.execute(_versions.insert().values(name=name, version=version))
        if version > newest:
            reason = f"Its {name} were changed by a newer towpath (form {version}, not {newest})."
            raise StoreUnusableError(f"{reason} Update this one.")
        _apply(connection, steps[version - 1 :])
        connection.execute(
            _versions.update().where(_versions.c.name == name).values(version=newest)
        )
        connection.commit()


def _claim(connection: Connection) -> None:
    """Begin a transaction that nobody else changes tables beside."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _version(connection: Connection, name: str) -> int | None:
    """Return the version of the tables of *name*, None if none is written down."""
    if not inspect(connection).has_table(_versions.name):
        return None
    query = select(_versions.c.version).where(_versions.c.name == name)
    return connection.execute(query).scalar()


def _first(connection: Connection, tables: MetaData, newest: int) -> int:
    """Make tables where there are none; return the version of those that are there then."""
    known = inspect(connection).get_table_names()
    if any(table.name in known for table in tables.sorted_tables):
        return 1
    tables.create_all(connection)
    return newest


def _apply(connection: Connection, steps: Sequence[Step]) -> None:
    """Change the tables."""
    if not steps:
        return
    from alembic.operations import Operations  # noqa: PLC0415 - takes a while, and is rare
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - as above

    operations = Operations(MigrationContext.configure(connection))
    for step in steps:
        step(operations)
