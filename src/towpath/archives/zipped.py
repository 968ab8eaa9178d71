"""ZIP by the standard library's directory reader, with checks of our own around it."""

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, BinaryIO, Literal, cast

from towpath.archives.members import Budget, Member
from towpath.errors import BrokenArchiveError, UnsafeArchiveError
from towpath.errors.redaction import shown

__all__ = ["ZipArchive"]

_BUFFER = 256 * 1024
_SMALL = 4096
_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_METHODS = _BOUNDED | {zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_ENCRYPTED = 0x1
_PATCHED = 0x20
_LOCAL_HEADER = 30
_ENTRY, _ENTRY_HEADER = b"PK\x01\x02", 46
_MOST_DICTIONARY = 64 * 2**20
_DAMAGED = "The ZIP archive is damaged; pack it again."


class ZipArchive:
    """An open ZIP.

    `zipfile` reads the whole directory and makes an object of each entry, whatever their number:
    a directory of 100 MB became 2 GB. Here its bytes and its entries are counted before.

    Args:
        stream: the archive, seekable.
        budget: what it may ask for.
        url: for messages.

    Raises:
        BrokenArchiveError: it is not a whole ZIP.
        UnsafeArchiveError: it has too many members or too large a directory, or some share their
            bytes.
    """

    def __init__(self, stream: BinaryIO, budget: Budget, *, url: str | None = None) -> None:
        self._url = url
        self._stream = stream
        with self._judging():
            directory = _Directory(stream, budget, url)
            self._zip = zipfile.ZipFile(cast("IO[bytes]", directory))
            directory.read = stream.read  # contents from here on
            self._infos: Sequence[zipfile.ZipInfo] = self._zip.infolist()
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
        with self._judging(member.name):
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
    def _judging(self, member: str | None = None) -> Iterator[None]:
        """Turn what `zipfile` raises into our errors, which name the member and the reason."""
        try:
            yield
        except UnicodeDecodeError as error:
            name = member or error.object.decode(errors="replace")
            reason = "its name is marked as UTF-8 and is not; pack the archive again"
            raise BrokenArchiveError(reason, member=name, url=self._url) from None
        except zipfile.BadZipFile as error:
            raise BrokenArchiveError(_reason(error, member), member=member, url=self._url) from None
        except (
            zlib.error,
            lzma.LZMAError,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            OverflowError,
            LookupError,
            MemoryError,
            struct.error,
        ) as error:
            reason = _DAMAGED if member is None else "its content cannot be read; pack it again"
            raise BrokenArchiveError(reason, member=member, url=self._url) from error


def _reason(error: zipfile.BadZipFile, member: str | None) -> str:
    """Return what is wrong, in the words of `zipfile`."""
    why = shown(str(error))
    if member is None:
        return f"This is not a whole ZIP archive: {why}. Send one that a ZIP program opens."
    return f"it has not the size or the checksum that the archive declares ({why}); pack it again"


class _Directory:
    """A ZIP whose directory is counted while `zipfile` reads it, in one piece."""

    def __init__(self, stream: BinaryIO, budget: Budget, url: str | None) -> None:
        self._stream = stream
        self._budget = budget
        self._url = url
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable
        self.read: Callable[..., bytes] = self._read

    def _read(self, size: int = -1) -> bytes:
        """Read what `zipfile` asks for while it opens the archive."""
        most = self._budget.header_bytes
        if size > most:
            reason = f"its directory has {size} bytes, and the limit is {most}"
            raise UnsafeArchiveError(reason, url=self._url)
        data = self._stream.read(size)
        self._check_entries(data)
        return data

    def _check_entries(self, data: bytes) -> None:
        """Refuse a directory of too many entries (APPNOTE 4.3.12)."""
        at = count = 0
        while data.startswith(_ENTRY, at) and at + _ENTRY_HEADER <= len(data):
            count += 1
            at += _ENTRY_HEADER + sum(struct.unpack_from("<HHH", data, at + 28))
        if count > self._budget.entries:
            reason = f"it has {count} members, and the limit is {self._budget.entries}"
            raise UnsafeArchiveError(reason, url=self._url)


def _kind(info: zipfile.ZipInfo) -> Literal["file", "folder", "other"]:
    """Return what a member is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return "other"
    return "folder" if info.filename.endswith("/") else "file"  # is_dir() fails on an empty name


def _problem(info: zipfile.ZipInfo) -> str:
    """Return why a member cannot be unpacked, or ''."""
    if _kind(info) == "other":
        return ""
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted; send the archive without a password"
    if info.flag_bits & _PATCHED or info.compress_type not in _METHODS:
        return f"its compression method {info.compress_type} is not read; use deflate"
    return ""
