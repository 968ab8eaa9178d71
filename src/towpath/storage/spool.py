"""Files for what is on its way, within the disk's reserve."""

import tempfile
from pathlib import Path
from typing import BinaryIO

from towpath.storage.disk import told
from towpath.storage.room import Room

__all__ = ["Spool", "Spools"]

_WHAT = "The body of the request"


class Spool:
    """A file that is written within the reserve.

    Args:
        file: open for reading and writing.
        room: says what may still be written.

    Attributes:
        file: the same.
        size: bytes that were written.
    """

    def __init__(self, file: BinaryIO, room: Room) -> None:
        self.file = file
        self.size = 0
        self._room = room

    def write(self, data: bytes | bytearray) -> None:
        """Write.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            StoreUnusableError: the disk is broken.
        """
        self._room.check(len(data))
        rest = memoryview(data)
        with told(self._room.folder, self._room.what):
            while rest:  # unbuffered: a disk that is nearly full takes a part
                rest = rest[self.file.write(rest) :]
        self.size += len(data)

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


class Spools:
    """Makes such files; without names, where the system can do that (O_TMPFILE).

    A kill leaves nothing of them behind.

    Args:
        folder: where they are.
        reserve: bytes that stay free on its disk, as set.

    Attributes:
        room: says what may still be written there.
    """

    def __init__(self, folder: Path, reserve: int | None) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.room = Room(folder, reserve, _WHAT)

    def new(self) -> Spool:
        """Return an empty file that nobody else sees.

        Raises:
            StoreFullError, StoreUnusableError: the disk has no room for it, or is broken.
        """
        with told(self.room.folder, self.room.what):
            file = tempfile.TemporaryFile(dir=self.room.folder, buffering=0)  # noqa: SIM115 - its owner closes it
        return Spool(file, self.room)
