"""Counts of who waits: those of the newest blocks stay, and one statement says the same."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest, Outcome
from towpath.queue.store import RequestQueue
from towpath.queue.tables import BLOCK

APP = "local/a"


def blocks(path: Path) -> list[tuple[int, int, int]]:
    """Return level, block and count of all counts."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT level, block, waiting FROM lines ORDER BY 1, 2"))
        found = [tuple(row) for row in rows]
    engine.dispose()
    return found


def test_counts_of_blocks_that_nobody_waits_in_are_removed_but_for_the_newest(
    tmp_path: Path,
) -> None:
    """Others may be counting in the newest ones at this moment."""
    path = tmp_path / "queue.db"
    queue = open_queue(f"sqlite:///{path}", lambda: 1.0, max_length=1000)
    for number in range(3 * BLOCK):
        queue.submit(NewRequest(str(number), APP))
    while claim := queue.claim([APP], worker="w", now=1.0):
        queue.finish(claim, Outcome("ok", 200, (), b""))
    before = blocks(path)
    assert {waiting for _, _, waiting in before} == {0}
    queue.sweep_counts()
    near = {block for level, block, _ in blocks(path) if level == 1}
    far = {block for level, block, _ in blocks(path) if level == 2}
    assert near == {2, 3}
    assert far == {0}
    given = queue.submit(NewRequest("next", APP))
    assert given.position == 0
    queue.close()


@pytest.mark.parametrize(("row", "position"), [((7, 3), 3), ((8, 0), 0), ((None, 3), None)])
def test_a_request_that_went_in_by_one_statement_knows_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: tuple[Any, Any], position: int | None
) -> None:
    """PostgreSQL's way, with rows as its server returns them; no number: the steps are taken."""
    queue: RequestQueue = open_queue(
        f"sqlite:///{tmp_path / 'queue.db'}", lambda: 1.0, max_length=1000
    )
    sent: list[dict[str, Any]] = []

    class Session:
        def rows(self, statement: object, **given: Any) -> list[tuple[Any, Any]]:
            sent.append(given)
            return [row]

    monkeypatch.setitem(queue._does, "submit_at_once", "the statement")
    asked = NewRequest("1", APP, body=b"b", headers=(("x-a", "b"),), max_length=10)
    found = queue._submit_at_once(asked, Session())
    assert (found and found.position) == position
    assert (sent[0]["most"], sent[0]["body"], sent[0]["headers"]) == (10, b"b", '[["x-a", "b"]]')
    queue.close()
