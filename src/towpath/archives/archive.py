"""The seam: an open archive, whatever its format; and what is done with each."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol, cast

from towpath.archives.members import Budget, Member, Placed, judged
from towpath.errors import BrokenArchiveError, UnsafeArchiveError
from towpath.errors.redaction import shown
from towpath.temporaries import telling_full

__all__ = ["Archive", "extract", "extract_one", "listed"]


class Archive(Protocol):
    """An open archive; its members are known before anything is unpacked."""

    members: Sequence[Member]

    def pieces(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a file, in pieces that memory holds.

        Raises:
            BrokenArchiveError: it is damaged.
        """

    def close(self) -> None:
        """Let go of what it holds; the stream stays open."""


def listed(
    archive: Archive, budget: Budget, *, packed: int, url: str | None = None
) -> list[Placed]:
    """Return the members of *archive*, all of them judged.

    Raises:
        UnsafeArchiveError: a limit is crossed, or a member may not be unpacked.
    """
    return judged(archive.members, budget, packed=packed, url=url)


def extract(archive: Archive, members: Sequence[Placed], folder: Path, *, url: str | None) -> None:
    """Unpack judged *members* below *folder*: regular files and folders, nothing else.

    Raises:
        BrokenArchiveError: it is damaged.
        UnsafeArchiveError: a member holds more than it declares.
        TemporaryFullError: the disk has no room for it.
    """
    with telling_full():
        for placed in members:
            _extract(archive, placed, folder, url)


def _extract(archive: Archive, placed: Placed, folder: Path, url: str | None) -> None:
    """Unpack one member below *folder*."""
    target = folder.joinpath(*placed.parts)
    if placed.member.kind == "folder":
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        _copy(archive, placed.member, file, url)


def extract_one(archive: Archive, placed: Placed, *, url: str | None) -> BinaryIO:
    """Unpack one judged member into a file that has no name, and return it open.

    Raises:
        BrokenArchiveError: it is damaged.
        UnsafeArchiveError: it holds more than it declares.
        TemporaryFullError: the disk has no room for it.
    """
    file = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - the caller closes it
    try:
        with telling_full():
            _copy(archive, placed.member, file, url)
    except BaseException:
        file.close()
        raise
    file.seek(0, io.SEEK_SET)
    return file


def _copy(archive: Archive, member: Member, file: BinaryIO, url: str | None) -> None:
    """Copy what a member declares: neither a byte more nor a byte less."""
    size = 0
    for piece in archive.pieces(member):
        size += len(piece)
        if size > member.size:
            reason = f"it holds more than the {member.size} bytes that it declares"
            raise UnsafeArchiveError(reason, member=shown(member.name), url=url)
        file.write(piece)
    if size < member.size:
        reason = f"it declares {member.size} bytes and holds {size}; pack the archive again"
        raise BrokenArchiveError(reason, member=shown(member.name), url=url)
