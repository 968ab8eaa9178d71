"""Transactions on SQLite and PostgreSQL: statements of SQLAlchemy's, run by the driver itself.

The way through SQLAlchemy to one row takes longer than the row; its statements are compiled once,
for the database at hand.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar, cast

from sqlalchemy import ClauseElement, Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.exc import DBAPIError
from typing_extensions import override

from towpath.errors import QueueUnavailableError
from towpath.queue.texts import writable

__all__ = [
    "DRIVER_ERRORS",
    "Prepared",
    "Session",
    "Transactions",
    "open_transactions",
    "prepared",
    "unavailable",
]

T = TypeVar("T")
DRIVER_ERRORS = (DBAPIError, sqlite3.Error)
"""What a database raises that cannot be opened, by SQLAlchemy or by its driver alone."""
_PATIENCE_SECONDS = 15.0
_FULL_WORDS = ("disk is full", "no space left", "disk full", "disk i/o error")
"""SQLite says `disk I/O error` where its shared memory finds no room."""
_DAMAGED_WORDS = ("malformed", "not a database")


class Prepared:
    """A statement in the database's own words.

    Args:
        statement: of SQLAlchemy Core, with `bindparam`s for what changes.
        engine: the database.
    """

    def __init__(self, statement: ClauseElement, engine: Engine) -> None:
        compiled = statement.compile(engine)
        self.text = str(compiled)
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        if self._order is None:
            self._write_out()

    def _write_out(self) -> None:
        """Write our own numbers into the statement, where PostgreSQL plans it.

        Without knowing that a LIMIT is 1 it has no plan that holds for all values, and plans anew
        each time, which takes longer than the row.
        """
        for name, value in tuple(self._fixed.items()):
            if type(value) is int:
                self.text = self.text.replace(f"%({name})s", str(value))
                del self._fixed[name]

    def values(self, given: Mapping[str, object]) -> Any:  # noqa: ANN401 - as the driver takes them
        """Return the parameters as the driver takes them; texts are made writable."""
        named = dict(self._fixed)
        for name, value in given.items():
            named[name] = writable(value) if type(value) is str else value
        return named if self._order is None else tuple(named[name] for name in self._order)


def prepared(statements: Mapping[str, ClauseElement], engine: Engine) -> dict[str, Prepared]:
    """Return every statement in the database's own words."""
    return {name: Prepared(statement, engine) for name, statement in statements.items()}


class Session:
    """One open transaction.

    Args:
        connection: of the driver.
        settle: waits for what was sent ahead; None where nothing is.
    """

    def __init__(self, connection: Any, settle: Callable[[], None] | None = None) -> None:  # noqa: ANN401 - sqlite3's or psycopg's
        self._connection = connection
        self._settle = settle

    def rows(self, statement: Prepared, **values: object) -> list[tuple[Any, ...]]:  # Any: columns
        """Run *statement*; return its rows."""
        cursor = self._connection.cursor()
        cursor.execute(statement.text, statement.values(values))
        return cast("list[tuple[Any, ...]]", cursor.fetchall())

    def run(self, statement: Prepared, **values: object) -> int:
        """Run *statement*; return how many rows it changed."""
        cursor = self._connection.cursor()
        cursor.execute(statement.text, statement.values(values))
        if self._settle is not None:
            self._settle()
        return int(cursor.rowcount)

    def send(self, statement: Prepared, **values: object) -> None:
        """Run *statement*, whatever it returns; a server gets it with those that follow."""
        self._connection.cursor().execute(statement.text, statement.values(values))

    def send_many(self, statement: Prepared, rows: Sequence[Mapping[str, object]]) -> None:
        """Run *statement* once for each of *rows*."""
        cursor = self._connection.cursor()
        cursor.executemany(statement.text, [statement.values(row) for row in rows])

    @property
    def is_open(self) -> bool:
        """Return whether SQLite has a transaction open."""
        return bool(self._connection.in_transaction)

    def say(self, words: str) -> None:
        """Run a statement without parameters."""
        self._connection.cursor().execute(words)


class Transactions(Protocol):
    """Runs pieces of work, each all or nothing."""

    def write(self, work: Callable[[Session], T]) -> T:
        """Run *work* in a transaction that is on the disk once this returns."""

    def read(self, work: Callable[[Session], T]) -> T:
        """Run *work*, which changes nothing."""

    def alone(self, work: Callable[[Session], T]) -> T | None:
        """Run *work*, a single statement, as a transaction; None where that is no quicker."""

    def close(self) -> None:
        """Close the database."""


def open_transactions(engine: Engine) -> Transactions:
    """Return the transactions of *engine*."""
    return _OneFile(engine) if engine.dialect.name == "sqlite" else _Server(engine)


# --- SQLite --------------------------------------------------------------------------------------


class _UndoneError(Exception):
    """A whole transaction was undone."""


class _Ticket(Generic[T]):
    """Work that waits for its turn, and what came of it."""

    def __init__(self, work: Callable[[Session], T]) -> None:
        self._work = work
        self.turn = threading.Event()
        self.is_done = False
        self.error: BaseException | None = None
        self._result: list[T] = []

    def run(self, session: Session) -> None:
        """Do the work; what it raises undoes it and nothing else.

        Raises:
            _UndoneError: SQLite has undone the whole transaction, as it may when its disk is full
                (https://www.sqlite.org/lang_transaction.html, section 3): no savepoint is left.
        """
        self.error = None
        session.say("SAVEPOINT one")
        try:
            self._result = [self._work(session)]
        except Exception as error:
            self.error = error
            if not session.is_open:
                raise _UndoneError from error
            session.say("ROLLBACK TO one")
        session.say("RELEASE one")

    def result(self) -> T:
        """Return what the work returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self._result[0]


class _OneFile:
    """SQLite: one writer, whose transaction takes along the work of all who wait."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._path = engine.url.database
        self._writer = _plain(engine)
        self._reader = _plain(engine)
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._waiting: list[_Ticket[Any]] = []  # Any: each its own
        self._is_led = False

    def write(self, work: Callable[[Session], T]) -> T:
        """Run *work* with whatever else waits, in one transaction.

        One thread leads, and works for all; the others sleep until theirs is done, or until it is
        their turn to lead.
        """
        ticket = _Ticket(work)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._is_led = not self._is_led, True
        if not leads:
            ticket.turn.wait()
        if not ticket.is_done:
            self._lead()
        return ticket.result()

    def _lead(self) -> None:
        """Run all that waits, and hand the lead on."""
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            self._run(tickets)
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                following = self._waiting[0] if self._waiting else None
            for ticket in tickets:
                ticket.is_done = True
                ticket.turn.set()
            if following is not None:
                following.turn.set()

    def _run(self, tickets: list[_Ticket[Any]]) -> None:
        """Run *tickets* in one transaction; each knows afterwards what came of it.

        Where that is undone for want of room, each gets a transaction of its own: what is too
        large for the disk takes nobody else's work with it.
        """
        failure = self._try(tickets)
        if failure is not None and failure.is_full and len(tickets) > 1:
            for ticket in tickets:
                self._run([ticket])
            return
        for ticket in tickets:
            if failure is not None:
                ticket.error = failure
            elif isinstance(ticket.error, sqlite3.Error):
                ticket.error = unavailable(ticket.error, self._path)

    def _try(self, tickets: list[_Ticket[Any]]) -> QueueUnavailableError | None:
        """Run *tickets* in one transaction; return why it was undone, or None."""
        session = Session(self._writer.driver_connection)
        try:
            session.say("BEGIN IMMEDIATE")
            for ticket in tickets:
                ticket.run(session)
            session.say("COMMIT")
        except (sqlite3.Error, _UndoneError) as error:
            if session.is_open:
                session.say("ROLLBACK")
            return unavailable(error.__cause__ or error, self._path)
        return None

    def read(self, work: Callable[[Session], T]) -> T:
        """Run *work* on what was written last."""
        with self._reading:
            try:
                return work(Session(self._reader.driver_connection))
            except sqlite3.Error as error:
                raise unavailable(error, self._path) from None

    def alone(self, work: Callable[[Session], T]) -> T | None:
        """Do nothing: writes are gathered here, and reads stay in this process."""
        del work
        return None

    def close(self) -> None:
        """Close the database."""
        self._writer.close()
        self._reader.close()
        self._engine.dispose()


def _plain(engine: Engine) -> PoolProxiedConnection:
    """Return a connection that begins transactions only when told to."""
    connection = engine.raw_connection()
    cast("sqlite3.Connection", connection.driver_connection).isolation_level = None
    return connection


# --- PostgreSQL ----------------------------------------------------------------------------------


class _Server:
    """PostgreSQL: a connection for each piece of work; one that broke is replaced."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._single = create_engine(engine.url, pool_size=16, max_overflow=16, pool_recycle=1800)
        event.listen(self._single, "connect", _commit_by_itself)
        self._wait = threading.Event().wait

    def write(self, work: Callable[[Session], T]) -> T:
        """Run *work* in a transaction; again when the connection broke.

        All work of the queue may be done twice: ids, attempts and states decide.
        """
        return self._insist(partial(self._once, work))

    read = write

    def alone(self, work: Callable[[Session], T]) -> T | None:
        """Run *work*, a single statement; again when the connection broke."""
        return self._insist(partial(self._once_alone, work))

    def _insist(self, once: Callable[[], T]) -> T:
        """Call *once* until the server answers, for a while."""
        left, pause = _PATIENCE_SECONDS, 0.05
        while True:
            try:
                return once()
            except self._broken() as error:
                reason = error
            if left <= 0:
                raise unavailable(reason)
            self._wait(pause)
            left, pause = left - pause, min(1.0, pause * 2)

    def _once_alone(self, work: Callable[[Session], T]) -> T:
        """Run *work* once, without a transaction around it."""
        connection = self._single.raw_connection()
        try:
            return work(Session(connection.driver_connection))
        except self._broken():
            connection.invalidate()
            raise
        finally:
            connection.close()

    def _once(self, work: Callable[[Session], T]) -> T:
        """Run *work* once; statements that return nothing travel with those that follow."""
        connection = self._engine.raw_connection()
        driver: Any = connection.driver_connection  # Any: psycopg's, which may not be installed
        try:
            with driver.pipeline() as pipeline:
                result = work(Session(driver, pipeline.sync))
                driver.commit()
        except self._broken():
            connection.invalidate()
            raise
        except BaseException:
            connection.rollback()
            raise
        else:
            return result
        finally:
            connection.close()

    def _broken(self) -> tuple[type[Exception], ...]:
        """Return what is raised when the server has gone, or has to be asked again."""
        driver = self._engine.dialect.loaded_dbapi
        return DBAPIError, driver.OperationalError, driver.InterfaceError

    @override
    def __repr__(self) -> str:
        return f"_Server({self._engine.url.host})"

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        self._single.dispose()


def _commit_by_itself(connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's
    """Make each statement of a connection a transaction."""
    connection.autocommit = True


def unavailable(error: BaseException, path: str | None = None) -> QueueUnavailableError:
    """Say why the database cannot be used.

    Args:
        error: what its driver raised.
        path: of its file, if it is one.
    """
    reason = str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
    return QueueUnavailableError(
        reason,
        is_full=any(word in reason.lower() for word in _FULL_WORDS),
        damaged=(path or "") if any(word in reason for word in _DAMAGED_WORDS) else "",
    )
