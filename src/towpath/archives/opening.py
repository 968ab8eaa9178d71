"""Which archive a stream is, by its first bytes; no name is believed."""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO

from towpath.archives.archive import Archive, listed
from towpath.archives.members import Budget, Placed
from towpath.archives.tarred import TarArchive, unpacked_stream
from towpath.archives.zipped import ZipArchive
from towpath.errors import BrokenArchiveError, UnsupportedFormatError
from towpath.media.content_types import sniff

__all__ = ["OpenedArchive", "opened_archive"]

_HEAD = 512
_CODINGS = {
    "application/gzip": "gzip",
    "application/x-bzip2": "bzip2",
    "application/x-xz": "xz",
    "application/zstd": "zstd",
}
_READ = "ZIP, tar, tar.gz, tar.bz2, tar.xz, tar.zst, 7z"


@dataclass(frozen=True, slots=True)
class OpenedArchive:
    """An open archive and its members, all of them judged."""

    archive: Archive
    members: list[Placed]


@contextmanager
def opened_archive(
    stream: BinaryIO, budget: Budget, *, url: str | None = None
) -> Iterator[OpenedArchive]:
    """Open the archive in *stream* and judge its members, before anything is unpacked.

    Raises:
        BrokenArchiveError: it is not a whole archive of a kind that is read here.
        UnsafeArchiveError: a limit is crossed, or a member may not be unpacked.
        UnsupportedFormatError: its kind needs the `archives` extra.
    """
    packed = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(0)
    with ExitStack() as stack:
        coding = _CODINGS.get(sniff(head) or "")
        if coding is not None:
            whole = unpacked_stream(stream, coding, budget, packed=packed, url=url)
            stack.callback(whole.close)
            archive: Archive = TarArchive(whole, budget, url=url)
        else:
            archive = _plain(stream, head, budget, url)
        stack.callback(archive.close)
        yield OpenedArchive(archive, listed(archive, budget, packed=packed, url=url))


def _plain(stream: BinaryIO, head: bytes, budget: Budget, url: str | None) -> Archive:
    """Open an archive that is its own compression, or has none."""
    kind = sniff(head)
    if kind == "application/x-7z-compressed":
        return _seven_zip(stream, budget, url)
    if kind == "application/x-tar" or _is_old_tar(head):
        return TarArchive(stream, budget, url=url)
    if kind == "application/zip" or zipfile.is_zipfile(stream):
        return ZipArchive(stream, budget, url=url)
    message = f"This is not an archive that is read here ({_READ})."
    raise BrokenArchiveError(message, url=url)


def _seven_zip(stream: BinaryIO, budget: Budget, url: str | None) -> Archive:
    """Open a 7z, by the `archives` extra."""
    try:
        module = import_module("towpath.archives.seven_zip")
    except ImportError:
        message = "7z is not read here. Use ZIP or tar.gz."
        advice = "Install the archives extra: pip install 'towpath[archives]'."
        raise UnsupportedFormatError(message, url=url, kind="archive", advice=advice) from None
    archive: Archive = module.SevenZipArchive(stream, budget, url=url)
    return archive


def _is_old_tar(head: bytes) -> bool:
    """Return whether a block is the header of a tar from before POSIX, which has no mark."""
    if len(head) < _HEAD or not any(head):
        return False
    try:
        tarfile.TarInfo.frombuf(head, tarfile.ENCODING, "surrogateescape")
    except tarfile.TarError:
        return False
    return True
