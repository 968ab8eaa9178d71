"""What may still be written to a disk, less what has to stay free on it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import StoreFullError
from towpath.settings import reserve_of

__all__ = ["Room"]


@dataclass(frozen=True, slots=True)
class Room:
    """The free space of the disk that a folder lies on.

    Attributes:
        folder: the folder.
        least: bytes that stay free, as set; None = the larger of 1 GiB and 5 %.
        what: is stored there, for callers; begins a sentence.
    """

    folder: Path
    least: int | None = None
    what: str = "The file"

    def check(self, size: int) -> None:
        """Refuse to write so many bytes where they would use up the reserve.

        Raises:
            StoreFullError: they would.
        """
        usage = shutil.disk_usage(self.folder)
        reserve = self.reserve(usage.total)
        if usage.free - size < reserve:
            raise StoreFullError(need=size, free=usage.free, reserve=reserve, what=self.what)

    def reserve(self, total: int) -> int:
        """Return the bytes that stay free on a disk of *total* bytes."""
        return reserve_of(total, self.least)
