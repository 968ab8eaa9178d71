"""ZIP by the standard library's directory reader, with checks of our own around it."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Literal

from towpath.archives.members import Member
from towpath.errors import BrokenArchiveError, UnsafeArchiveError

__all__ = ["ZipArchive"]

_BUFFER = 256 * 1024
_SMALL = 4096
_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_METHODS = _BOUNDED | {zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_ENCRYPTED = 0x1
_PATCHED = 0x20
_LOCAL_HEADER = 30
_MOST_DICTIONARY = 64 * 2**20
_DAMAGED = "The ZIP archive is damaged; pack it again."


class ZipArchive:
    """An open ZIP.

    Args:
        stream: the archive, seekable.
        most: members at most; more are refused before they are looked at.
        url: for messages.

    Raises:
        BrokenArchiveError: it is not a whole ZIP.
        UnsafeArchiveError: it has too many members, or some share their bytes.
    """

    def __init__(self, stream: BinaryIO, *, most: int, url: str | None = None) -> None:
        self._url = url
        self._stream = stream
        with self._judging():
            self._zip = zipfile.ZipFile(stream)
            self._infos: Sequence[zipfile.ZipInfo] = self._zip.infolist()
        if len(self._infos) > most:
            reason = f"it has {len(self._infos)} members, and the limit is {most}"
            raise UnsafeArchiveError(reason, url=url)
        self._check_overlaps()
        self.members: Sequence[Member] = [
            Member(info.orig_filename, _kind(info), info.file_size, number, _problem(info))
            for number, info in enumerate(self._infos)
        ]

    def pieces(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a file.

        `zipfile` bounds what deflate makes of one read, but not what bzip2 and LZMA do.
        """
        info = self._infos[member.number]
        step = _BUFFER if info.compress_type in _BOUNDED else _SMALL
        with self._judging():
            self._check_dictionary(info)
            with self._zip.open(info) as source:
                while piece := source.read(step):
                    yield piece

    def close(self) -> None:
        """Let go of what it holds; the stream stays open."""
        self._zip.close()

    def _check_dictionary(self, info: zipfile.ZipInfo) -> None:
        """Refuse LZMA that wants more memory than any honest archive (APPNOTE 5.8.8)."""
        if info.compress_type != zipfile.ZIP_LZMA:
            return
        self._stream.seek(info.header_offset + _LOCAL_HEADER - 4)
        name, extra = struct.unpack("<HH", self._stream.read(4))
        self._stream.seek(name + extra + 5, io.SEEK_CUR)
        size = int.from_bytes(self._stream.read(4), "little")
        if size > _MOST_DICTIONARY:
            reason = f"it needs {size} bytes of memory to unpack; the limit is {_MOST_DICTIONARY}"
            raise UnsafeArchiveError(reason, member=info.filename, url=self._url)

    def _check_overlaps(self) -> None:
        """Refuse members that share packed bytes: many names for one bomb."""
        end = -1
        for info in sorted(self._infos, key=lambda i: i.header_offset):
            if info.header_offset < end:
                reason = "it overlaps another member"
                raise UnsafeArchiveError(reason, member=info.filename, url=self._url)
            end = info.header_offset + info.compress_size + _LOCAL_HEADER

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Turn what `zipfile` raises into our errors."""
        try:
            yield
        except zipfile.BadZipFile:
            message = "This is not a whole ZIP archive; send one that a ZIP program opens."
            raise BrokenArchiveError(message, url=self._url) from None
        except (
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            struct.error,
        ) as error:
            if isinstance(error, FileExistsError | NotADirectoryError):
                raise
            raise BrokenArchiveError(_DAMAGED, url=self._url) from error


def _kind(info: zipfile.ZipInfo) -> Literal["file", "folder", "other"]:
    """Return what a member is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return "other"
    return "folder" if info.is_dir() else "file"


def _problem(info: zipfile.ZipInfo) -> str:
    """Return why a member cannot be unpacked, or ''."""
    if _kind(info) == "other":
        return ""
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted; send the archive without a password"
    if info.flag_bits & _PATCHED or info.compress_type not in _METHODS:
        return f"its compression method {info.compress_type} is not read; use deflate"
    return ""
