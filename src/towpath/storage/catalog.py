"""The index of the store: one row a file, for questions that sidecars answer too slowly."""

import fcntl
import logging
import threading
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Engine,
    Float,
    Index,
    Insert,
    MetaData,
    Row,
    Select,
    String,
    Table,
    bindparam,
    delete,
    false,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DatabaseError

from towpath.database import is_broken, migrate, open_sqlite
from towpath.errors import StoreUnusableError
from towpath.storage.records import StoredFile, Usage, Wanted

if TYPE_CHECKING:
    from alembic.operations import Operations

__all__ = ["Catalog", "mark_damaged", "open_catalog"]

log = logging.getLogger(__name__)

_BATCH = 500

_metadata = MetaData()
_files = Table(
    "files",
    _metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", BigInteger),
    Column("owner", String, nullable=False),
    Column("gone", Boolean, nullable=False, default=False),
    Column("access", String(8), nullable=False, server_default="public"),
)
Index("files_by_expiry", _files.c.expires)
Index("files_by_owner", _files.c.owner, _files.c.created)


def _add_access(operations: "Operations") -> None:
    """Version 2: who may read a file."""
    column = Column("access", String(8), nullable=False, server_default="public")
    operations.add_column("files", column)


_STEPS = (_add_access,)
_names = [field.name for field in fields(StoredFile)]
_columns = [column for column in _files.c if column.name != "gone"]


class Catalog:
    """The rows of one store.

    A row outlives its file (`gone`), so that an expired file goes on answering 410. Statements are
    SQLAlchemy's, for SQLite and PostgreSQL alike; those of every save and every read go to SQLite's
    driver by themselves, for the way to one row takes half a millisecond of a processor that has
    just encoded a picture.

    Args:
        engine: the database; its tables are made, or brought to their newest form.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        migrate(engine, "files", _metadata, _STEPS)
        insert = sqlite_insert if engine.dialect.name == "sqlite" else postgresql_insert
        values: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in _names}
        self._insert = insert(_files).values(values | {"gone": false()}).on_conflict_do_nothing()
        self._by_id = select(*(_files.c[name] for name in _names)).where(
            _files.c.id == bindparam("id")
        )
        self._direct = _Direct(engine, self._insert, self._by_id) if _is_direct(engine) else None
        self._closing = weakref.finalize(self, _close, engine, self._direct)

    def add(self, records: Iterable[StoredFile]) -> None:
        """Write rows; those that exist stay as they are."""
        rows = list(records)
        if not rows:
            return
        if self._direct is not None:
            self._direct.add(rows)
            return
        with self._engine.begin() as connection:
            connection.execute(self._insert, [_values(row) for row in rows])

    def find(self, file_id: str) -> StoredFile | None:
        """Return the row of *file_id*, also of one that is gone; every read of a file asks this."""
        if self._direct is not None:
            return self._direct.find(file_id)
        with self._engine.connect() as connection:
            row = connection.execute(self._by_id, {"id": file_id}).first()
        return _record(row) if row else None

    def expired(self, now: float, *, limit: int) -> list[StoredFile]:
        """Return at most *limit* files whose life is over and whose bytes are still here."""
        over = _files.c.expires <= now
        query = select(*_columns).where(over, _files.c.gone == false()).limit(limit)
        with self._engine.connect() as connection:
            return [_record(row) for row in connection.execute(query)]

    def page(self, wanted: Wanted) -> list[StoredFile]:
        """Return files, the oldest first."""
        query = select(*_columns).order_by(_files.c.created, _files.c.id).limit(wanted.limit)
        over = _files.c.expires <= wanted.now
        query = query.where(over if wanted.expired else (_files.c.gone == false()) & ~_over(over))
        if wanted.owner is not None:
            query = query.where(_files.c.owner == wanted.owner)
        if wanted.after is not None:
            query = query.where(tuple_(_files.c.created, _files.c.id) > wanted.after)
        with self._engine.connect() as connection:
            return [_record(row) for row in connection.execute(query)]

    def usage(self, now: float) -> list[Usage]:
        """Return what each owner's files take, the largest first; expired ones do not count."""
        size = func.coalesce(func.sum(_files.c.size), 0).label("size")
        query = (
            select(_files.c.owner, func.count(), size)
            .where((_files.c.gone == false()) & ~_over(_files.c.expires <= now))
            .group_by(_files.c.owner)
            .order_by(size.desc(), _files.c.owner)
        )
        with self._engine.connect() as connection:
            return [Usage(row[0], int(row[1]), int(row[2])) for row in connection.execute(query)]

    def set_expiry(self, file_id: str, expires: int | None) -> None:
        """Change the second from which a file is gone."""
        with self._engine.begin() as connection:
            connection.execute(update(_files).where(_files.c.id == file_id).values(expires=expires))

    def forget(self, ids: Iterable[str]) -> None:
        """Remove rows: their files answer 404 from now on."""
        with self._engine.begin() as connection:
            connection.execute(delete(_files).where(_files.c.id.in_(list(ids))))

    def lose(self, ids: Iterable[str], now: float) -> None:
        """Note that the bytes of *ids* are not there: expired files stay known as such."""
        listed = list(ids)
        over = _over(_files.c.expires <= now)
        with self._engine.begin() as connection:
            these = _files.c.id.in_(listed)
            connection.execute(update(_files).where(these & over).values(gone=True))
            connection.execute(delete(_files).where(these & (_files.c.gone == false())))

    def older(self, before: float, *, after: str, limit: int) -> list[str]:
        """Return ids, in their order from *after* on, of files that are there since *before*."""
        query = (
            select(_files.c.id)
            .where((_files.c.id > after) & (_files.c.gone == false()) & (_files.c.created < before))
            .order_by(_files.c.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def unknown(self, ids: Sequence[str]) -> list[str]:
        """Return those of *ids* that have no row."""
        known: set[str] = set()
        with self._engine.connect() as connection:
            for at in range(0, len(ids), _BATCH):
                query = select(_files.c.id).where(_files.c.id.in_(ids[at : at + _BATCH]))
                known.update(connection.execute(query).scalars())
        return [file_id for file_id in ids if file_id not in known]

    def mark_gone(self, ids: Iterable[str]) -> None:
        """Note that the bytes of *ids* were removed."""
        with self._engine.begin() as connection:
            connection.execute(update(_files).where(_files.c.id.in_(list(ids))).values(gone=True))

    def totals(self) -> tuple[int, int]:
        """Return how many files there are and their bytes."""
        query = select(func.count(), func.coalesce(func.sum(_files.c.size), 0))
        with self._engine.connect() as connection:
            row = connection.execute(query.where(_files.c.gone == false())).one()
        return int(row[0]), int(row[1])

    def close(self) -> None:
        """Close the database; done at collection and exit too."""
        self._closing()


class _Direct:
    """SQLite's own driver, for one row at a time."""

    def __init__(self, engine: Engine, insert: Insert, by_id: Select[Any]) -> None:
        compiled = insert.compile(engine)
        self._insert, self._order = str(compiled), attrgetter(*(compiled.positiontup or _names))
        self._select = str(by_id.compile(engine))
        self._reader, self._writer = engine.raw_connection(), engine.raw_connection()
        self._reading, self._writing = threading.Lock(), threading.Lock()

    def add(self, records: Iterable[StoredFile]) -> None:
        """Write rows; threads wait for each other here, sooner awake than in SQLite's own wait."""
        rows = [self._order(each) for each in records]
        with self._writing:
            try:
                self._writer.cursor().executemany(self._insert, rows)
                self._writer.commit()
            except BaseException:
                self._writer.rollback()
                raise

    def find(self, file_id: str) -> StoredFile | None:
        """Return a row."""
        with self._reading:
            cursor = self._reader.cursor()
            cursor.execute(self._select, (file_id,))
            rows = cursor.fetchall()
            cursor.close()
        return StoredFile(*rows[0]) if rows else None

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        self._writer.close()


def _close(engine: Engine, direct: _Direct | None) -> None:
    """Close a database."""
    if direct is not None:
        direct.close()
    engine.dispose()


def _is_direct(engine: Engine) -> bool:
    """Return whether the driver is asked by itself: SQLite's, where the way is the larger part."""
    return engine.dialect.name == "sqlite"


def _values(record: StoredFile) -> dict[str, object]:
    """Return the values of a row."""
    return {name: getattr(record, name) for name in _names}


def _over(over: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a life is over; one without an end never is."""
    return _files.c.expires.is_not(None) & over


def _record(row: Row[tuple[object, ...]]) -> StoredFile:
    """Read a row."""
    return StoredFile.from_json(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name


def open_catalog(path: Path) -> Catalog:
    """Open the index; a broken one is set aside, since sidecars hold all it knows.

    One process at a time: of several that make a database at once SQLite tells some that it is
    locked, and one that is set aside must not be another's new one.

    Raises:
        StoreUnusableError: it cannot be opened, or a newer towpath has changed it.
    """
    try:
        with path.with_name("index.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _sound(path)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    except DatabaseError as error:
        raise _unusable(path, error.orig) from error


def mark_damaged(path: Path) -> None:
    """Let the next that opens the index set it aside; what cannot be written is no error."""
    with suppress(OSError):
        _mark(path).touch()


def _mark(path: Path) -> Path:
    """Return the file that says that an index is damaged."""
    return path.with_name(f"{path.name}.damaged")


def _sound(path: Path) -> Catalog:
    """Open the index, or a new one in its place."""
    if not _mark(path).exists():
        try:
            return _opened(path)
        except DatabaseError as error:
            if not is_broken(error):
                raise
    log.warning("index is broken and is rebuilt", extra={"path": str(path)})
    for suffix in ("", "-wal", "-shm"):
        broken = path.with_name(path.name + suffix)
        if broken.exists():
            broken.replace(broken.with_name(f"{broken.name}.broken"))
    _mark(path).unlink(missing_ok=True)
    return _opened(path)


def _opened(path: Path) -> Catalog:
    """Open the index."""
    engine = open_sqlite(path, is_derived=True)
    try:
        return Catalog(engine)
    except BaseException:
        engine.dispose()
        raise


def _unusable(path: Path, trouble: object) -> StoreUnusableError:
    """Say that the index cannot be opened."""
    reason = (
        f"The store's index {path} cannot be opened ({trouble}); nothing was changed. See whether "
        "its disk is full or read-only, or another program holds it."
    )
    return StoreUnusableError(reason)
