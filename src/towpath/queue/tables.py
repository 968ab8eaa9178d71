"""The queue's tables."""

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from towpath.queue.idempotency import fingerprint_of, scoped_key

if TYPE_CHECKING:
    from alembic.operations import Operations

    from towpath.database import Step

__all__ = [
    "BLOCK",
    "DELAYED",
    "DONE",
    "FAR",
    "LONGEST_WORD",
    "NEAR",
    "QUEUED",
    "RUNNING",
    "STEPS",
    "answers",
    "lines",
    "logs",
    "metadata",
    "payloads",
    "requests",
]

QUEUED: Final = 1
DELAYED: Final = 2  # waits for its next try; keeps its place
RUNNING: Final = 3
DONE: Final = 4
BLOCK: Final = 128
"""Requests are counted by blocks of so many numbers, and these by blocks of as many again.

A place in a line of a million is the sum of some two hundred counts."""
LONGEST_WORD: Final = 64
"""Characters of an error_type: an app may answer with any, and PostgreSQL keeps no more."""
NEAR: Final = 1
FAR: Final = 2

metadata = MetaData()
_big = BigInteger().with_variant(Integer, "sqlite")  # only such a column counts by itself there

requests = Table(
    "requests",
    metadata,
    Column("number", _big, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("app", String(130), nullable=False),
    Column("key", String(255)),  # as idempotency.scoped_key makes it
    Column("fingerprint", String(64)),  # of the payload; only with a key
    Column("path", Text, nullable=False),
    Column("method", String(16), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("hint", Text),
    Column("state", SmallInteger, nullable=False),
    Column("due", Float),
    Column("start_by", Float),
    Column("submitted", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("attempt", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("worker", String(64)),
    Column("beat", Integer, nullable=False),
    Column("cancelling", Boolean, nullable=False),
    Column("retries", Boolean, nullable=False),
    Column("keep_io", Boolean, nullable=False),
    Column("kind", String(16)),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("error_type", String(LONGEST_WORD)),
    Column("progress", Text),
    Column("server_errors", SmallInteger, nullable=False, server_default="0"),
    Column("timeouts", SmallInteger, nullable=False, server_default="0"),
    Column("connection_errors", SmallInteger, nullable=False, server_default="0"),
    UniqueConstraint("app", "key", name="requests_by_key"),
)


def _where(name: str, condition: str, *columns: str) -> None:
    """Add an index of some rows; queries repeat the condition word by word."""
    clause = text(condition)
    Index(name, *(requests.c[c] for c in columns), sqlite_where=clause, postgresql_where=clause)


_where("requests_waiting", "state < 3", "app", "priority", "number")
_where("requests_delayed", "state = 2", "due")
_where("requests_running", "state = 3", "number")
_where("requests_done", "state = 4", "finished")
_where("requests_suspect", "state < 3 AND connection_errors > 0", "app", "priority", "number")
_where("requests_late", "start_by IS NOT NULL", "start_by")
Index("requests_by_app", requests.c.app, requests.c.number)

payloads = Table(
    "payloads",
    metadata,
    Column("number", _big, primary_key=True, autoincrement=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
answers = Table(
    "answers",
    metadata,
    Column("number", _big, primary_key=True, autoincrement=False),
    Column("headers", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
logs = Table(
    "logs",
    metadata,
    Column("number", _big, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("level", String(8), nullable=False),
    Column("source", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("attempt", Integer),
)
lines = Table(
    "lines",
    metadata,
    Column("app", String(130), primary_key=True),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("priority", SmallInteger, primary_key=True, autoincrement=False),
    Column("block", _big, primary_key=True, autoincrement=False),
    Column("waiting", Integer, nullable=False),
)


def _scope_keys(operations: "Operations") -> None:
    """Keep keys by caller and endpoint, and what was sent with them.

    Nobody wrote down who had sent a key: those of a server without keys stay what they were, those
    of a server with keys are found by none of its callers any more.
    """
    operations.add_column(requests.name, Column("fingerprint", String(64)))
    connection = operations.get_bind()
    numbers = connection.execute(
        text("SELECT number FROM requests WHERE key IS NOT NULL")
    ).scalars()
    for number in list(numbers):
        key, path, body = connection.execute(_KEYED, {"number": number}).one()
        sent = None if body is None else fingerprint_of(path, bytes(body))
        given = {"number": number, "key": scoped_key("", path, key), "sent": sent}
        connection.execute(_REKEYED, given)


_KEYED = text(
    "SELECT r.key, r.path, p.body FROM requests r LEFT JOIN payloads p ON p.number = r.number "
    "WHERE r.number = :number"
)
_REKEYED = text("UPDATE requests SET key = :key, fingerprint = :sent WHERE number = :number")


def _count_failures(operations: "Operations") -> None:
    """Count what went wrong by its kind, and note which attempt wrote a line."""
    for name in ("server_errors", "timeouts", "connection_errors"):
        column = Column(name, SmallInteger, nullable=False, server_default="0")
        operations.add_column("requests", column)
    operations.add_column("logs", Column("attempt", Integer))
    condition = text("state < 3 AND connection_errors > 0")
    operations.create_index(
        "requests_suspect",
        "requests",
        ["app", "priority", "number"],
        sqlite_where=condition,
        postgresql_where=condition,
    )


STEPS: "tuple[Step, ...]" = (_scope_keys, _count_failures)
