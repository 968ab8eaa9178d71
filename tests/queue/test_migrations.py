"""Queues that an older towpath wrote are opened, and keep what they hold."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from towpath.errors import IdempotencyKeyError
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest

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
        connection.execute(text("ALTER TABLE requests DROP COLUMN fingerprint"))
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
