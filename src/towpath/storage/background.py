"""Jobs for threads that wait for a disk or a store while their caller goes on."""

from collections.abc import Callable
from typing import TypeVar

from towpath.concurrency import Crew, Job

__all__ = ["in_background", "in_turn"]

S = TypeVar("S")
T = TypeVar("T")

_crew = Crew("towpath-disk", 32, queues=True)
"""They wait for the disk, not the processor; one commit of a file system serves many of them."""


def in_background(work: Callable[[], T]) -> Job[T]:
    """Begin *work* in a thread, as `Crew.begin` does."""
    return _crew.begin(work)


def in_turn(work: Callable[[], S], rest: Callable[[S], T]) -> tuple[Job[S], Job[T]]:
    """Begin *work*, and then, in the same thread, *rest* of what came of it.

    If *work* fails, *rest* is not done, and fails with the same error.
    """
    first = Job(work)

    def both() -> T:
        first.do()
        first.end()
        return rest(first.result())

    return first, in_background(both)
