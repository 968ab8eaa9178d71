"""Queues that an older towpath wrote are opened, and keep what they hold."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from towpath.errors import IdempotencyKeyError
from towpath.queue.opening import open_queue
from towpath.queue.requests import Failures, LogLine, NewRequest, Outcome

ID = "00000000-0000-4000-8000-00000000000{}"
OLD = (Path(__file__).parent / "form-1.sql").read_text()
"""A queue of form 1, as commit 9e3a435 wrote it."""


@pytest.fixture
def old(database: str) -> str:
    """A database with the tables and rows of form 1."""
    if database.startswith("sqlite"):
        with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
            connection.executescript(OLD)
        connection.close()
        return database
    queue = open_queue(database, lambda: 1_000_000.0, max_length=100)
    queue.submit(NewRequest(ID.format(1), "local/a", "/x?q=1", body=b'{"a": 1}'))
    queue.submit(NewRequest(ID.format(2), "local/a", "/x", body=b"{}"))
    queue.submit(NewRequest(ID.format(3), "local/b"))
    queue.close()
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX requests_suspect"))
        for name in ("fingerprint", "server_errors", "timeouts", "connection_errors"):
            connection.execute(text(f"ALTER TABLE requests DROP COLUMN {name}"))
        connection.execute(text("ALTER TABLE logs DROP COLUMN attempt"))
        connection.execute(text("UPDATE requests SET key = 'order-1' WHERE number != 2"))
        connection.execute(text("DELETE FROM payloads WHERE number = 3"))
        connection.execute(text("UPDATE towpath_versions SET version = 1"))
    engine.dispose()
    return database


def test_keys_of_form_1_stay_keys(old: str) -> None:
    """Nobody wrote down who had sent them, so they are those of a server without keys: trust T5."""
    given = {"path": "/x?q=1", "body": b'{"a": 1}', "idempotency_key": "order-1"}
    for _ in range(2):  # the second time there is nothing left to change
        queue = open_queue(old, lambda: 1_000_001.0, max_length=100)
        assert queue.submit(NewRequest("n1", "local/a", **given)).request_id == ID.format(1)
        with pytest.raises(IdempotencyKeyError):
            queue.submit(NewRequest("n2", "local/a", **{**given, "body": b"{}"}))
        kept = queue.submit(NewRequest("n3", "local/b", body=b"?", idempotency_key="order-1"))
        assert kept.request_id == ID.format(3), "its body was not kept: nothing to compare with"
        queue.close()
    queue = open_queue(old, lambda: 1_000_002.0, max_length=100)
    mine = queue.submit(NewRequest("n4", "local/a", **given, caller="me"))
    assert mine.request_id == "n4", "who has a key gets nothing of others"
    claim = queue.claim(["local/a"], worker="w", now=1_000_003.0)
    assert claim is not None
    assert (claim.request_id, claim.body) == (ID.format(1), b'{"a": 1}')
    queue.close()


def test_a_queue_of_form_1_goes_on_with_its_requests_and_lines(tmp_path: Path) -> None:
    """One request waits, one waits for its next try, and has written a line."""
    path = tmp_path / "queue.db"
    with sqlite3.connect(path) as database:
        database.executescript((Path(__file__).parent / "form-1-retries.sql").read_text())
    database.close()
    queue = open_queue(f"sqlite:///{path}", lambda: 200.0, max_length=10)
    assert queue.waiting() == {"local/a": 2}
    queue.promote(200.0)
    first = queue.claim(["local/a"], worker="w", now=200.0)
    assert first is not None
    assert (first.request_id, first.tries, first.failures) == ("w", 2, Failures())
    assert queue.records.logs("w") == [(0, LogLine(1.0, "STDOUT", "hello"))]
    queue.finish(first, Outcome("retry", condition="connection_error"))
    assert queue.suspects() == {"local/a": 1}
    queue.close()
