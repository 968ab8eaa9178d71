"""The index of the store: one row a file, for questions that sidecars answer too slowly."""

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
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
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from towpath.database import open_sqlite
from towpath.storage.records import StoredFile, Usage, Wanted

__all__ = ["Catalog", "open_catalog"]

log = logging.getLogger(__name__)

_BATCH = 500

_metadata = MetaData()
_files = Table(
    "files",
    _metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String, nullable=False),
    Column("content_type", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Integer),
    Column("owner", String, nullable=False),
    Column("gone", Boolean, nullable=False, default=False),
)
Index("files_by_expiry", _files.c.expires)
Index("files_by_owner", _files.c.owner, _files.c.created)
_names = [field.name for field in fields(StoredFile)]
_columns = [column for column in _files.c if column.name != "gone"]


class Catalog:
    """The rows of one store.

    A row outlives its file (`gone`), so that an expired file goes on answering 410. Statements are
    SQLAlchemy's; those of every save and every read go to the driver by themselves, for its own way
    to one row takes half a millisecond of a processor that has just encoded a picture.
    """

    def __init__(self, path: Path) -> None:
        self._engine: Engine = open_sqlite(path, is_derived=True)
        _metadata.create_all(self._engine)
        statement = insert(_files).values(
            {name: bindparam(name) for name in _names} | {"gone": false()}
        )
        compiled = statement.on_conflict_do_nothing().compile(self._engine)
        self._reader = self._engine.raw_connection()
        self._reading = threading.Lock()
        by_id = select(*(_files.c[name] for name in _names)).where(_files.c.id == bindparam("id"))
        self._select = str(by_id.compile(self._engine))
        self._insert, self._order = str(compiled), attrgetter(*(compiled.positiontup or _names))

    def add(self, records: Iterable[StoredFile]) -> None:
        """Write rows; those that exist stay as they are."""
        rows = [self._order(record) for record in records]
        if not rows:
            return
        with closing(self._engine.raw_connection()) as connection:
            connection.cursor().executemany(self._insert, rows)
            connection.commit()

    def find(self, file_id: str) -> StoredFile | None:
        """Return the row of *file_id*, also of one that is gone; every read of a file asks this."""
        with self._reading:
            cursor = self._reader.cursor()
            cursor.execute(self._select, (file_id,))
            rows = cursor.fetchall()
            cursor.close()
        return StoredFile(*rows[0]) if rows else None

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
        """Close the database."""
        self._reader.close()
        self._engine.dispose()


def _over(over: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a life is over; one without an end never is."""
    return _files.c.expires.is_not(None) & over


def _record(row: Row[tuple[object, ...]]) -> StoredFile:
    """Read a row."""
    return StoredFile.from_json(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name


def open_catalog(path: Path) -> Catalog:
    """Open the index; a broken one is set aside, since sidecars hold all it knows."""
    try:
        return Catalog(path)
    except DatabaseError:
        log.warning("index is broken and is rebuilt", extra={"path": str(path)})
        for suffix in ("", "-wal", "-shm"):
            broken = path.with_name(path.name + suffix)
            if broken.exists():
                broken.replace(broken.with_name(f"{broken.name}.broken"))
        return Catalog(path)
