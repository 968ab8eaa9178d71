"""How much a download may bring, to the byte."""

import errno
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.downloads.reuse import Head
from towpath.errors import DiskFullError, FileTooLargeError
from towpath.settings import reserve_of

__all__ = ["Limits", "counted", "is_full"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be written.

    Attributes:
        given: bytes that the caller allows; None = no such limit.
        undeclared: bytes of a body whose length nobody declared.
        reserve: bytes of the disk that stay free; None = the default of the settings.
    """

    given: int | None
    undeclared: int
    reserve: int | None

    def most(self, head: Head) -> int | None:
        """Return the bytes at which to stop, or None when only the disk limits."""
        if self.given is not None:
            return self.given
        return self.undeclared if head.size is None else None

    def check(self, head: Head, size: int) -> None:
        """Raise FileTooLargeError when *size* bytes are more than allowed."""
        most = self.most(head)
        if most is not None and size > most:
            raise FileTooLargeError(head.url, size=size, limit=most)

    def check_room(self, head: Head, folder: Path, *, here: int = 0) -> None:
        """Refuse what the disk cannot hold, before its first byte.

        Args:
            head: what the source says.
            folder: where it goes.
            here: bytes of it that are on the disk already; of a body without a length nothing
                is known but that more comes.

        Raises:
            DiskFullError: there is no room for it.
        """
        spare, need = self.spare(folder), (head.size or 1) - here
        if need > spare:
            raise DiskFullError(head.url, need=need, free=spare)

    def spare(self, folder: Path) -> int:
        """Return the bytes that may be written to the disk of *folder*."""
        usage = shutil.disk_usage(folder)
        return max(0, usage.free - reserve_of(usage.total, self.reserve))


def counted(
    head: Head, chunks: Iterable[bytes | memoryview], limits: Limits
) -> Iterator[bytes | memoryview]:
    """Pass *chunks* on; stop with FileTooLargeError at the first byte over the limit."""
    got = 0
    for chunk in chunks:
        got += len(chunk)
        limits.check(head, got)
        yield chunk


def is_full(error: OSError) -> bool:
    """Return whether *error* says that the disk is full."""
    return error.errno in _FULL
