"""Jobs for threads that wait for a disk or a store while their caller goes on."""

from collections.abc import Callable
from typing import TypeVar

from towpath.concurrency import Crew, Job

__all__ = ["in_background"]

T = TypeVar("T")

_crew = Crew("towpath-disk", 32)
"""They wait for the disk, not the processor; one commit of a file system serves many of them."""


def in_background(work: Callable[[], T]) -> Job[T]:
    """Begin *work* in a thread, as `Crew.begin` does."""
    return _crew.begin(work)
