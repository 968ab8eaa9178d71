"""What is in an archive, and whether it may be unpacked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from towpath.errors import UnsafeArchiveError
from towpath.media.names import clean_name

__all__ = ["LONGEST_NAME", "RATIO_FREE", "Budget", "Member", "Placed", "judged", "path_of"]

RATIO_FREE = 10 * 2**20
"""Bytes up to which an archive may be as dense as it likes."""
LONGEST_NAME = 1024
"""Characters of a member's whole name."""
_LONGEST_PATH = 2048  # bytes; a system's limit is 4096, with the folder that it lies in
_HEADERS_FREE = 2**20
_HEADER_OF_A_MEMBER = 4096


@dataclass(frozen=True)
class Budget:
    """What an archive may ask for.

    Attributes:
        entries: members.
        size: bytes when unpacked.
        ratio: unpacked bytes for each packed one.
        depth: folders inside folders.
    """

    entries: int
    size: int
    ratio: float
    depth: int

    @property
    def header_bytes(self) -> int:
        """Return how many bytes names, comments and other facts of all members may take."""
        return _HEADERS_FREE + _HEADER_OF_A_MEMBER * self.entries


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    Attributes:
        name: as stored, with `/` between its parts.
        kind: a file, a folder, or something else that is never unpacked.
        size: declared bytes when unpacked.
        number: which entry of the archive it is.
        problem: why it cannot be unpacked, whatever its name; '' if it can.
    """

    name: str
    kind: Literal["file", "folder", "other"]
    size: int
    number: int
    problem: str = ""


@dataclass(frozen=True)
class Placed:
    """A member that was judged, and where it goes."""

    member: Member
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return its path below the folder it is unpacked to."""
        return "/".join(self.parts)


def judged(
    members: Sequence[Member], budget: Budget, *, packed: int, url: str | None = None
) -> list[Placed]:
    """Judge every member and the sum of them, before anything is written.

    Args:
        members: all entries of the archive.
        budget: what it may ask for.
        packed: bytes of the archive itself.
        url: where it came from, for messages.

    Raises:
        UnsafeArchiveError: a limit is crossed, or a member may not be unpacked.
    """
    if len(members) > budget.entries:
        reason = f"it has {len(members)} members, and the limit is {budget.entries}"
        raise UnsafeArchiveError(reason, url=url)
    check_size(sum(member.size for member in members), budget, packed=packed, url=url)
    placed = [
        Placed(member, path_of(member, budget, url)) for member in members if not _is_root(member)
    ]
    _check_clashes(placed, url)
    return placed


def check_size(total: int, budget: Budget, *, packed: int, url: str | None) -> None:
    """Refuse what unpacks to more bytes than are allowed.

    Raises:
        UnsafeArchiveError: it does, all in all or for its size.
    """
    if total > budget.size:
        reason = f"it unpacks to {total} bytes, and the limit is {budget.size}"
        raise UnsafeArchiveError(reason, url=url)
    if total > RATIO_FREE and total > budget.ratio * packed:
        ratio = total / max(packed, 1)
        reason = f"it unpacks to {ratio:.0f} times its size; the limit is {budget.ratio:g}"
        raise UnsafeArchiveError(reason, url=url)


def path_of(member: Member, budget: Budget, url: str | None = None) -> tuple[str, ...]:
    """Return the path of a member, in safe parts.

    Raises:
        UnsafeArchiveError: it leads outside, is neither file nor folder, or cannot be read.
    """
    name = member.name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    cleaned = tuple(_part(part) for part in parts)
    reason = member.problem
    if member.kind == "other" and not reason:
        reason = "it is a link or a special file; only files and folders are unpacked"
    elif name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        reason = "its name leads outside of the archive"
    elif len(parts) > budget.depth:
        reason = f"it lies {len(parts)} folders deep, and the limit is {budget.depth}"
    else:
        reason = reason or _problem_of(name, cleaned)
    if reason:
        raise UnsafeArchiveError(reason, member=member.name, url=url)
    return cleaned


def _problem_of(name: str, cleaned: Sequence[str]) -> str:
    """Return why no file may have a name, or ''."""
    longest = max(len(name), len("/".join(cleaned).encode()) * LONGEST_NAME // _LONGEST_PATH)
    if not name:
        return "its name is empty"
    if "\0" in name:
        return "its name holds a NUL"
    if longest > LONGEST_NAME:
        return f"its name is too long: {len(name)} characters, and {LONGEST_NAME} are the limit"
    if not cleaned or not all(cleaned):
        return "its name has no character that a file name may have"
    return ""


def _is_root(member: Member) -> bool:
    """Return whether a member is the folder itself."""
    return member.kind == "folder" and member.name != "" and member.name.strip("./") == ""


def _part(part: str) -> str:
    """Return one part of a name as it is if it is safe, else cleaned."""
    cleaned = clean_name(part)
    return part if cleaned in (part, f"_{part}") and part[0] == "." else cleaned


def _check_clashes(members: Sequence[Placed], url: str | None) -> None:
    """Refuse two members with one path, and a file where a folder has to be."""
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for placed in members:
        folders.update(placed.parts[:depth] for depth in range(1, len(placed.parts)))
        if placed.member.kind == "folder":
            folders.add(placed.parts)
        elif placed.parts in files:
            reason = "another member has the same name"
            raise UnsafeArchiveError(reason, member=placed.member.name, url=url)
        else:
            files.add(placed.parts)
    for clash in sorted(files & folders):
        reason = "it is a file and a folder at once"
        raise UnsafeArchiveError(reason, member="/".join(clash), url=url)
