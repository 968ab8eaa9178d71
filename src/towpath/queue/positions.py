"""How many requests wait, and how many of them are before another one.

Counting the rows in front of a request takes as long as the line is. So each app's waiting requests
are counted by blocks of numbers, and blocks by blocks (docs/decisions/0008): a place in a line of a
million is the sum of some two hundred counts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from towpath.queue.rows import STATES
from towpath.queue.tables import BLOCK
from towpath.queue.transactions import Prepared, Session

__all__ = ["Positions"]


class Positions:
    """Reads and keeps the counts, each within a transaction of the caller's.

    Args:
        does: the statements.
    """

    def __init__(self, does: Mapping[str, Prepared]) -> None:
        self._does = does

    def waiting(self, session: Session, app: str) -> dict[int, int]:
        """Return how many requests of *app* wait, by priority."""
        return {int(p): int(n) for p, n in session.rows(self._does["waiting"], of_app=app)}

    def of(self, session: Session, row: Mapping[str, Any]) -> int | None:  # Any: columns
        """Return how many of its app are before a request that waits; None if it does not."""
        if STATES[row["state"]] != "queued":
            return None
        app, number, priority = row["app"], row["number"], row["priority"]
        near, far = number // BLOCK, number // BLOCK**2
        ahead = 0
        for rank, count, before in session.rows(self._does["before"], of_app=app, of_far=far):
            ahead += int(count) if rank < priority else int(before) if rank == priority else 0
        of = {"of_app": app, "of_priority": priority}
        blocks = {"low": far * BLOCK, "high": near - 1}
        ahead += int(session.rows(self._does["before_near"], **of, **blocks)[0][0])
        within = {"first": near * BLOCK, "of_number": number}
        return ahead + int(session.rows(self._does["before_in_block"], **of, **within)[0][0])

    def count(self, session: Session, of: Sequence[Any], step: int) -> None:  # Any: columns
        """Count a request in or out: its number, priority and app."""
        number, priority, app = of
        given = {"app": app, "priority": priority, "step": step}
        blocks = {"near": number // BLOCK, "far": number // BLOCK**2}
        session.send(self._does["count"], **given, **blocks)

    def sweep(self, session: Session) -> None:
        """Remove counts of blocks in which nobody waits any more."""
        newest = session.rows(self._does["newest"])[0][0]
        blocks = {"near": newest // BLOCK - 1, "far": newest // BLOCK**2 - 1}
        session.send(self._does["drop_blocks"], **blocks)
