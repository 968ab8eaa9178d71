"""Unpack an archive of a stranger: every member judged before the first byte is written."""

import io
import stat
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from towpath.errors import BrokenArchiveError, UnsafeArchiveError
from towpath.errors.redaction import shown
from towpath.media.names import clean_name

__all__ = ["Budget", "unpack_zip"]

_BUFFER = 256 * 1024
_SMALL = 4096
_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_ENCRYPTED = 0x1
_PATCHED = 0x20
_RATIO_FREE = 10 * 2**20  # a small archive may be as dense as it likes


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class _Member:
    """A member that was judged, and where it goes."""

    info: zipfile.ZipInfo
    parts: tuple[str, ...]


def unpack_zip(stream: BinaryIO, folder: Path, budget: Budget, *, url: str | None = None) -> None:
    """Unpack the ZIP in *stream* below *folder*: regular files and folders, nothing else.

    Raises:
        BrokenArchiveError: it is not a whole ZIP.
        UnsafeArchiveError: a limit is crossed or a member may not be unpacked.
    """
    try:
        packed = stream.seek(0, io.SEEK_END)
        with zipfile.ZipFile(stream) as archive:
            members = _judged(archive.infolist(), budget, packed=packed, url=url)
            left = budget.size
            for member in members:
                left -= _write(archive, member, folder, left, url)
    except zipfile.BadZipFile:
        message = "This is not a whole ZIP archive; send one that a ZIP program opens."
        raise BrokenArchiveError(message, url=url) from None
    except (zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        message = "The ZIP archive is damaged; pack it again."
        raise BrokenArchiveError(message, url=url) from error


def _judged(
    infos: Sequence[zipfile.ZipInfo], budget: Budget, *, packed: int, url: str | None
) -> list[_Member]:
    """Judge every member and the sum of them."""
    if len(infos) > budget.entries:
        reason = f"it has {len(infos)} members, and the limit is {budget.entries}"
        raise UnsafeArchiveError(reason, url=url)
    total = sum(info.file_size for info in infos)
    if total > budget.size:
        reason = f"it unpacks to {total} bytes, and the limit is {budget.size}"
        raise UnsafeArchiveError(reason, url=url)
    if total > _RATIO_FREE and total > budget.ratio * packed:
        ratio = total / max(packed, 1)
        reason = f"it unpacks to {ratio:.0f} times its size; the limit is {budget.ratio:g}"
        raise UnsafeArchiveError(reason, url=url)
    _check_overlaps(infos, url)
    members = [_Member(info, _parts(info, budget, url)) for info in infos if not _is_root(info)]
    _check_clashes(members, url)
    return members


def _is_root(info: zipfile.ZipInfo) -> bool:
    """Return whether a member is the folder itself."""
    return info.is_dir() and info.filename.strip("./") == ""


def _parts(info: zipfile.ZipInfo, budget: Budget, url: str | None) -> tuple[str, ...]:
    """Return the path of a member, in safe segments.

    Raises:
        UnsafeArchiveError: it leads outside, is no regular file or folder, or is encrypted.
    """
    name = info.orig_filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    cleaned = tuple(_segment(part) for part in parts)
    reason = _kind_problem(info)
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        reason = "its name leads outside of the archive"
    elif len(parts) > budget.depth:
        reason = f"it lies {len(parts)} folders deep, and the limit is {budget.depth}"
    elif "\0" in name or not cleaned or not all(cleaned):
        reason = "its name is not one that a file may have"
    if reason is not None:
        raise UnsafeArchiveError(reason, member=info.filename, url=url)
    return cleaned


def _kind_problem(info: zipfile.ZipInfo) -> str | None:
    """Return why a member of this kind is not unpacked, or None."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return "it is a link or a special file; only files and folders are unpacked"
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted; send the archive without a password"
    if info.flag_bits & _PATCHED or info.compress_type not in _METHODS:
        return f"its compression method {info.compress_type} is not read; use deflate"
    return None


def _segment(part: str) -> str:
    """Return one segment of a name as it is if it is safe, else cleaned."""
    cleaned = clean_name(part)
    return part if cleaned in (part, f"_{part}") and part[0] == "." else cleaned


def _check_overlaps(infos: Sequence[zipfile.ZipInfo], url: str | None) -> None:
    """Refuse members that share packed bytes: many names for one bomb."""
    end = -1
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            reason = "it overlaps another member"
            raise UnsafeArchiveError(reason, member=info.filename, url=url)
        end = info.header_offset + info.compress_size + 30  # the fixed part of a local header


def _check_clashes(members: Sequence[_Member], url: str | None) -> None:
    """Refuse two members with one path, and a file where a folder has to be."""
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for member in members:
        folders.update(member.parts[:depth] for depth in range(1, len(member.parts)))
        if member.info.is_dir():
            folders.add(member.parts)
        elif member.parts in files:
            reason = "another member has the same name"
            raise UnsafeArchiveError(reason, member=member.info.filename, url=url)
        else:
            files.add(member.parts)
    for clash in files & folders:
        reason = "it is a file and a folder at once"
        raise UnsafeArchiveError(reason, member="/".join(clash), url=url)


def _write(
    archive: zipfile.ZipFile, member: _Member, folder: Path, left: int, url: str | None
) -> int:
    """Unpack one member; return its bytes."""
    target = folder.joinpath(*member.parts)
    if member.info.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    most = min(left, member.info.file_size)
    with archive.open(member.info) as source, target.open("xb") as file:
        return _copy(source, file, most, member.info, url)


def _copy(
    source: IO[bytes], file: IO[bytes], most: int, info: zipfile.ZipInfo, url: str | None
) -> int:
    """Copy at most *most* bytes; one more is an archive that lies about its sizes.

    `zipfile` bounds what deflate makes of one read, but not what bzip2 and LZMA do.
    """
    step = _BUFFER if info.compress_type in _BOUNDED else _SMALL
    size = 0
    while chunk := source.read(step):
        size += len(chunk)
        if size > most:
            reason = f"it holds more than the {most} bytes that it declares or that are left"
            raise UnsafeArchiveError(reason, member=shown(info.filename), url=url)
        file.write(chunk)
    return size
