"""The seam between the store of files and the place where their bytes lie."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from towpath.storage.records import StoredFile
from towpath.storage.staging import Describe, Incoming, NewFile, Staged

__all__ = ["Blobs", "Listed"]


@dataclass(frozen=True, slots=True)
class Listed:
    """What lies in one part of the store.

    Attributes:
        whole: ids of files that can be read.
        halves: ids of sidecars without a blob: of saves that are at work, or were killed.
        bare: those of *whole* without a sidecar: likewise, or of a power cut.
    """

    whole: Sequence[str]
    halves: Sequence[str] = ()
    bare: Sequence[str] = ()


class Blobs(Protocol):
    """Bytes under an id, with what is known of them: a folder, or an object store.

    Attributes:
        root: a folder of this machine, for the index, the lock and drafts.
        is_local: whether `open` gives a file with a descriptor.
    """

    root: Path
    is_local: bool

    def stage(self, new: NewFile, describe: Describe) -> Staged:
        """Take a file; nobody sees it yet."""

    def incoming(self) -> Incoming:
        """Begin a file whose bytes come one after the other."""

    def publish(self, staged: Staged, meanwhile: Callable[[], None]) -> None:
        """Put a staged file under its id; durable when this returns."""

    def hold(self, file_id: str) -> None:
        """Remember that *file_id* was handed out."""

    def is_held(self, file_id: str) -> bool:
        """Return whether *file_id* was handed out and its bytes are still to come."""

    def release(self, file_id: str) -> bool:
        """Forget a place; return False when it was not there any more."""

    def open(self, file_id: str) -> BinaryIO:
        """Open the bytes; FileNotFoundError if they are not there."""

    def pieces(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield some bytes; FileNotFoundError, at the call, if they are not there."""

    def sign(self, file_id: str, seconds: int) -> str | None:
        """Return a URL of the place's own, None where it has none."""

    def record_of(self, file_id: str) -> StoredFile | None:
        """Return what is known of a file, if it is there."""

    def records_of(self, ids: Iterable[str]) -> list[StoredFile]:
        """Return what is known of listed files; those that went meanwhile are left out."""

    def listed(self) -> Iterator[Listed]:
        """Yield what lies here, a part after the other."""

    def missing(self, ids: list[str]) -> list[str]:
        """Return those of *ids* whose bytes are not there."""

    def rewrite(self, record: StoredFile) -> None:
        """Replace what is known of a file; durable when this returns."""

    def delete(self, ids: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""

    def lay_out(self) -> None:
        """Make what saves would have to make otherwise."""

    def sweep(self, *, older_than: float) -> int:
        """Remove what killed saves left; return how much."""

    def reserve(self, total: int) -> int:
        """Return the bytes that stay free on a disk of *total* bytes."""
