"""What servers do wrong, and what has to come of a download from them: the table."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from towpath.testing.origins import Exchange

__all__ = [
    "BODY",
    "HALF",
    "LARGE",
    "MISBEHAVIOURS",
    "Behaviour",
    "Misbehaviour",
    "on",
    "raw",
    "table",
]

BODY = hashlib.shake_256(b"towpath").digest(1_000_003)
"""What the paths of small files serve."""
LARGE = BODY * 24
"""What the paths of files with helper connections serve."""
HALF = len(BODY) // 2

Behaviour = Callable[[Exchange], None]


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """One path of the hostile origin.

    Attributes:
        path: where it is.
        outcome: `small` or `large` when the file has to come whole, `odd` for anything else that
            is a file; else the name of the error.
        does: what the server does, in a few words.
    """

    path: str
    outcome: str
    does: str


MISBEHAVIOURS: list[Misbehaviour] = []
table: dict[str, Behaviour] = {}


def on(path: str, outcome: str, does: str) -> Callable[[Behaviour], Behaviour]:
    """Put a behaviour into the table."""

    def put(behaviour: Behaviour) -> Behaviour:
        MISBEHAVIOURS.append(Misbehaviour(path, outcome, does))
        table[path] = behaviour
        return behaviour

    return put


def raw(path: str, outcome: str, does: str, answer: bytes) -> None:
    """Put a path into the table that sends bytes and closes."""

    def behave(exchange: Exchange) -> None:
        exchange.send(answer)
        exchange.close()

    on(path, outcome, does)(behave)
