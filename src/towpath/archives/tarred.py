"""tar, plain or compressed: unpacked to a nameless file first, so that its sizes are known."""

import bz2
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from tempfile import TemporaryFile
from typing import IO, BinaryIO, Literal, cast

from towpath.archives.members import LONGEST_NAME, Budget, Member, check_size, path_of
from towpath.archives.pax import problem_of_pax
from towpath.errors import BrokenArchiveError, UnsafeArchiveError, UnsupportedFormatError
from towpath.temporaries import telling_full

__all__ = ["TarArchive", "unpacked_stream"]

_BUFFER = 256 * 1024
_MOST_HEADER = 2**20
_MOST_MEMORY = 256 * 2**20
_MOST_WINDOW = 2**27
_GZIP = 31  # zlib's number for the format
_BLOCK, _TYPE_AT = 512, 156  # of a header
_PAX_TYPES = frozenset((tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE))
_BODY_TYPES = _PAX_TYPES | {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_FIELD_OF_A_MEMBER = 64
_FREE_PARTS, _PARTS_OF_A_MEMBER, _PART = 1000, 4, 16 * 1024
"""Parts that may hold next to nothing: a part begins anew with what is left of 256 KiB, so that
millions of empty ones, in a few megabytes, take minutes."""
_TOO_MANY_PARTS = "This archive is packed in too many small parts; pack it as a whole."
_NOT_TAR = "This is not a whole tar archive; pack it again."


def unpacked_stream(
    stream: BinaryIO, coding: str, budget: Budget, *, packed: int, url: str | None = None
) -> BinaryIO:
    """Undo the compression around a tar, into a file that has no name.

    Args:
        stream: the archive.
        coding: gzip, bzip2, xz or zstd.
        budget: what it may become; headers come on top.
        packed: its own bytes.
        url: for messages.

    Raises:
        BrokenArchiveError: it is damaged.
        UnsafeArchiveError: it becomes more than it may.
        TemporaryFullError: the disk has no room for it.
        UnsupportedFormatError: zstd without the `archives` extra.
    """
    whole = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - the caller closes it
    size, headers = 0, budget.header_bytes
    try:
        with _judging(url), telling_full():
            for number, piece in enumerate(_READERS[coding](stream)):
                size += len(piece)
                check_size(max(0, size - headers), budget, packed=packed, url=url)
                _check_parts(number, size, budget, url)
                whole.write(piece)
    except BaseException:
        whole.close()
        raise
    whole.seek(0)
    return whole


def _check_parts(count: int, size: int, budget: Budget, url: str | None) -> None:
    """Refuse an archive whose parts hold too little.

    Raises:
        UnsafeArchiveError: they do.
    """
    if count > _FREE_PARTS + _PARTS_OF_A_MEMBER * budget.entries + size // _PART:
        raise UnsafeArchiveError(_TOO_MANY_PARTS, url=url)


class TarArchive:
    """An open tar.

    `tarfile` keeps every extended header (pax, GNU) of every member: 200 comments of 4 MiB were
    800 MB of memory. It reads maps of sparse files of any length, though no member may be one, and
    applies each field of the global headers to each member. Here headers have a limit each and all
    together, in which such fields count for each member, and nothing of them is kept but name, kind
    and size.

    Args:
        stream: the archive, seekable, not compressed.
        budget: what it may ask for.
        url: for messages.

    Raises:
        BrokenArchiveError: it is not a whole tar.
        UnsafeArchiveError: it has too many members, or too large headers.
    """

    def __init__(self, stream: BinaryIO, budget: Budget, *, url: str | None = None) -> None:
        self._url = url
        infos: list[tarfile.TarInfo] = []
        members: list[Member] = []
        with _judging(url):
            headers = _Headers(stream, budget.header_bytes, url)
            self._tar = tarfile.TarFile.open(fileobj=cast("IO[bytes]", headers), mode="r:")
            for info in self._tar:
                headers.charge(_FIELD_OF_A_MEMBER * len(self._tar.pax_headers))
                members.append(_member(info, len(infos), budget, url))
                info.pax_headers, info.linkname = {}, ""
                infos.append(info)
                if len(infos) > budget.entries:
                    reason = f"it has more than {budget.entries} members, which is the limit"
                    raise UnsafeArchiveError(reason, url=url)
            headers.read = stream.read  # contents from here on
        self._infos: Sequence[tarfile.TarInfo] = infos
        self.members: Sequence[Member] = members

    def pieces(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a file."""
        with _judging(self._url):
            source = self._tar.extractfile(self._infos[member.number])
            left = member.size
            while source is not None and left:
                piece = source.read(min(_BUFFER, left))
                if not piece:
                    raise BrokenArchiveError(_NOT_TAR, url=self._url)
                left -= len(piece)
                yield piece

    def close(self) -> None:
        """Let go of what it holds; the stream stays open."""
        self._tar.close()


class _Headers:
    """A tar of which only so much may be headers; `tarfile` needs no more of a file than this."""

    def __init__(self, stream: BinaryIO, left: int, url: str | None) -> None:
        self._stream = stream
        self._most = self._left = left
        self._url = url
        self._kind = b""  # of the header whose body comes next
        self.seek, self.tell = stream.seek, stream.tell
        self.read: Callable[[int], bytes] = self._read

    def _read(self, size: int) -> bytes:
        """Read what `tarfile` asks for while it looks for members."""
        if size < 0:  # a length below 0 in a header: `tarfile` would read all there is
            raise BrokenArchiveError(_NOT_TAR, url=self._url)
        if size > _MOST_HEADER:
            reason = f"it has a header of {size} bytes, and the limit is {_MOST_HEADER}"
            raise UnsafeArchiveError(reason, url=self._url)
        self.charge(size)
        data = self._stream.read(size)
        kind, self._kind = self._kind, b""
        if kind in _PAX_TYPES:
            self._refuse(problem_of_pax(data))
        elif not kind and size == _BLOCK:
            self._note_kind(data[_TYPE_AT : _TYPE_AT + 1])
        return data

    def charge(self, size: int) -> None:
        """Count *size* bytes of headers.

        Raises:
            UnsafeArchiveError: there are too many.
        """
        self._left -= size
        if self._left < 0:
            self._refuse(f"its headers have more than {self._most} bytes, which is the limit")

    def _note_kind(self, kind: bytes) -> None:
        """Remember what the next read is: the body of an extended header, or another header."""
        if kind == tarfile.GNUTYPE_SPARSE:
            self._refuse("it holds a sparse file; only files and folders are unpacked")
        self._kind = kind if kind in _BODY_TYPES else b""

    def _refuse(self, reason: str) -> None:
        """Raise the error for what is not read, if there is a reason."""
        if reason:
            raise UnsafeArchiveError(reason, url=self._url)


def _member(info: tarfile.TarInfo, number: int, budget: Budget, url: str | None) -> Member:
    """Return a member; a name of a megabyte is refused before there are more of them."""
    if info.size < 0:
        raise BrokenArchiveError(_NOT_TAR, url=url)
    member = Member(info.name + ("/" if info.isdir() else ""), _kind(info), info.size, number)
    if len(member.name) > LONGEST_NAME:
        path_of(member, budget, url)
    return member


def _kind(info: tarfile.TarInfo) -> Literal["file", "folder", "other"]:
    """Return what a member is; sparse files count as special."""
    if info.isdir():
        return "folder"
    return "file" if info.isreg() and not info.issparse() else "other"


# --- compressions --------------------------------------------------------------------------------


def _gzip(stream: BinaryIO) -> Iterator[bytes]:
    """Undo gzip; several members may follow each other.

    zlib skips the names and comments of members. The standard library's reader takes them byte by
    byte: a name of 100 MB held it up for half a minute.
    """
    decoder, fed = zlib.decompressobj(wbits=_GZIP), b""
    while True:
        if decoder.eof:
            fed = decoder.unused_data.lstrip(b"\0") or stream.read(_BUFFER).lstrip(b"\0")
            if not fed:
                return
            decoder = zlib.decompressobj(wbits=_GZIP)
        else:
            fed = decoder.unconsumed_tail or stream.read(_BUFFER)
            if not fed:
                raise EOFError
        yield decoder.decompress(fed, _BUFFER)


def _streams(
    stream: BinaryIO, decoder_of: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Iterator[bytes]:
    """Undo bzip2, or xz with a limit of memory; several streams may follow each other."""
    decoder, fed = decoder_of(), b""
    while True:
        if decoder.eof:
            fed = decoder.unused_data.lstrip(b"\0") or stream.read(_BUFFER).lstrip(b"\0")
            if not fed:
                return
            decoder = decoder_of()
        elif decoder.needs_input:
            fed = stream.read(_BUFFER)
            if not fed:
                raise EOFError
        else:
            fed = b""
        yield decoder.decompress(fed, _BUFFER)


def _zstd(stream: BinaryIO) -> Iterator[bytes]:
    """Undo zstd, by the `archives` extra."""
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        message = "tar.zst is not read here. Use ZIP or tar.gz."
        advice = "Install the archives extra: pip install 'towpath[archives]'."
        raise UnsupportedFormatError(message, kind="archive", advice=advice) from None
    decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
    try:
        with decoder.stream_reader(stream, read_across_frames=True, closefd=False) as reader:
            while piece := reader.read(_BUFFER):
                yield piece
    except zstandard.ZstdError as error:
        raise EOFError from error


_READERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _gzip,
    "bzip2": partial(_streams, decoder_of=bz2.BZ2Decompressor),
    "xz": partial(_streams, decoder_of=partial(lzma.LZMADecompressor, memlimit=_MOST_MEMORY)),
    "zstd": _zstd,
}


@contextmanager
def _judging(url: str | None) -> Iterator[None]:
    """Turn what the standard library raises into our errors."""
    try:
        yield
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise BrokenArchiveError(_NOT_TAR, url=url) from error
    except (ValueError, OverflowError, MemoryError, IndexError, KeyError, RecursionError) as error:
        raise BrokenArchiveError(_NOT_TAR, url=url) from error
