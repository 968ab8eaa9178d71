"""Large bodies and answers of requests: files beside the queue, each owned by its request's row.

A body of 60 MiB in a row is in memory several times on its way there and back, and ten at once end
the server. So on a queue of one server a large one is a file, named after its request; the row's
headers say so by a pair whose name no HTTP header can have. The row alone decides whether the file
is of use: one that no row owns is swept. Rows with the bytes in them are read as ever; a queue that
several servers share (PostgreSQL) keeps all bytes in rows, one large one at a time.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from typing_extensions import override

from towpath.queue.requests import Headers
from towpath.storage.disk import sync, told
from towpath.storage.room import Room
from towpath.storage.spool import Spool

__all__ = ["SMALL", "Draft", "Payloads", "fingerprint_of_file", "split"]

SMALL: Final = 256 * 1024
"""Bytes up to which a body or an answer is in its row."""
_MARK = ":file"  # a colon ends a name in HTTP
_DRAFT = ".draft"
_WHAT = "What the queue keeps of the request"
_LEFTOVER_SECONDS = 3600.0


def split(headers: Headers) -> tuple[Headers, str | None]:
    """Return headers as they were sent, and the name of the file that has the body, if one has."""
    name = next((value for each, value in headers if each == _MARK), None)
    if name is None:
        return headers, None
    return tuple(pair for pair in headers if pair[0] != _MARK), name


class Draft(Spool):
    """A file that is gone when it is closed, unless it was kept."""

    def __init__(self, path: Path, room: Room) -> None:
        super().__init__(path.open("x+b", buffering=0), room)
        self.path = path

    @override
    def close(self) -> None:
        """Let go of it, and remove it."""
        super().close()
        self.path.unlink(missing_ok=True)


class Payloads:
    """The files of a queue.

    Args:
        folder: where they are.
        reserve: bytes that stay free on its disk, as set.
        now: seconds since 1970.

    Attributes:
        room: says what may still be written.
    """

    def __init__(
        self, folder: Path, reserve: int | None, *, now: Callable[[], float] = time.time
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.room = Room(folder, reserve, _WHAT)
        self._folder = folder
        self._now = now

    def draft(self) -> Draft:
        """Return an empty file.

        Raises:
            StoreFullError, StoreUnusableError: the disk has no room for it, or is broken.
        """
        with told(self._folder, _WHAT):
            return Draft(self._folder / f"{os.urandom(16).hex()}{_DRAFT}", self.room)

    def keep(self, draft: Draft, name: str) -> tuple[str, str]:
        """Make a draft durable under a name; return the pair for its row's headers.

        Raises:
            StoreFullError, StoreUnusableError: it cannot be.
        """
        with told(self._folder, _WHAT):
            os.fsync(draft.file.fileno())
            draft.path.replace(self._folder / name)
            sync(self._folder)
        return _MARK, name

    def copy(self, name: str, new_name: str) -> tuple[str, str]:
        """Keep a file for another request too; return the pair for its row's headers.

        Raises:
            FileNotFoundError: there is none.
        """
        (self._folder / new_name).hardlink_to(self._folder / name)
        sync(self._folder)
        return _MARK, new_name

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return self._folder / Path(name).name

    def drop(self, name: str) -> None:
        """Remove a file; one that is gone is no error."""
        self.path(name).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Remove drafts of killed servers, and files whose request is not known; return how many.

        Args:
            is_known: whether there is a request of that id.
        """
        removed, before = 0, self._now() - _LEFTOVER_SECONDS
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                is_old = path.stat().st_mtime < before
                if is_old and (path.suffix == _DRAFT or not is_known(path.stem)):
                    path.unlink()
                    removed += 1
        return removed


def fingerprint_of_file(path: str, file: Path) -> str:
    """Return what `fingerprint_of` returns, for a body in a file."""
    digest = sha256(path.partition("?")[2].encode() + b"\0")
    with file.open("rb") as body:
        while piece := body.read(SMALL):
            digest.update(piece)
    return digest.hexdigest()
