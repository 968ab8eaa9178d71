"""Where bytes come from: a head that is known, and a body that has not been read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from towpath.downloads.reuse import Head

__all__ = ["Opened"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open source.

    Attributes:
        head: what it says before the body.
        chunks: yields the body.
        close: gives the source back; a body that was not read stays unread.
        not_modified: whether the source says that what we have is still right.
    """

    head: Head
    chunks: Callable[[], Iterator[bytes]]
    close: Callable[[], None]
    not_modified: bool = False
