"""tar, plain or compressed: unpacked to a nameless file first, so that its sizes are known."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from tempfile import TemporaryFile
from typing import IO, BinaryIO, Literal, cast

from towpath.archives.members import Budget, Member, check_size
from towpath.errors import BrokenArchiveError, UnsafeArchiveError, UnsupportedFormatError

__all__ = ["TarArchive", "unpacked_stream"]

_BUFFER = 256 * 1024
_MOST_HEADER = 4 * 2**20
_MOST_MEMORY = 256 * 2**20
_MOST_WINDOW = 2**27
_BLOCK = 512
_OVERHEAD = 2**20
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
        UnsupportedFormatError: zstd without the `archives` extra.
    """
    whole = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 - the caller closes it
    size, headers = 0, budget.entries * 2 * _BLOCK + _OVERHEAD
    try:
        with _judging(url):
            for piece in _READERS[coding](stream):
                size += len(piece)
                check_size(max(0, size - headers), budget, packed=packed, url=url)
                whole.write(piece)
    except BaseException:
        whole.close()
        raise
    whole.seek(0)
    return whole


class TarArchive:
    """An open tar.

    Args:
        stream: the archive, seekable, not compressed.
        most: members at most.
        url: for messages.

    Raises:
        BrokenArchiveError: it is not a whole tar.
        UnsafeArchiveError: it has too many members.
    """

    def __init__(self, stream: BinaryIO, *, most: int, url: str | None = None) -> None:
        self._url = url
        infos: list[tarfile.TarInfo] = []
        with _judging(url):
            file = cast("IO[bytes]", _Capped(stream))
            self._tar = tarfile.TarFile.open(fileobj=file, mode="r:")
            for info in self._tar:
                infos.append(info)
                if len(infos) > most:
                    reason = f"it has more than {most} members, which is the limit"
                    raise UnsafeArchiveError(reason, url=url)
        self._infos: Sequence[tarfile.TarInfo] = infos
        self.members: Sequence[Member] = [
            Member(info.name + ("/" if info.isdir() else ""), _kind(info), info.size, number)
            for number, info in enumerate(infos)
        ]

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


class _Capped:
    """A file of which no header may ask for very much at once; `tarfile` needs no more of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        """Read, as `tarfile` does; a header that declares megabytes is refused."""
        if size > _MOST_HEADER:
            message = f"a header of {size} bytes"
            raise tarfile.ReadError(message)
        return self._stream.read(size)


def _kind(info: tarfile.TarInfo) -> Literal["file", "folder", "other"]:
    """Return what a member is; sparse files count as special."""
    if info.isdir():
        return "folder"
    return "file" if info.isreg() and not info.issparse() else "other"


# --- compressions --------------------------------------------------------------------------------


def _by_file(
    opened: Callable[[BinaryIO], gzip.GzipFile | bz2.BZ2File],
) -> Callable[[BinaryIO], Iterator[bytes]]:
    """Return a reader by a file object of the standard library, which bounds each read."""

    def pieces(stream: BinaryIO) -> Iterator[bytes]:
        with opened(stream) as file:
            while piece := file.read(_BUFFER):
                yield piece

    return pieces


def _xz(stream: BinaryIO) -> Iterator[bytes]:
    """Undo xz with a limit of memory; several streams may follow each other."""
    decoder = lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
    fed = b""
    while True:
        if decoder.eof:
            fed = decoder.unused_data.lstrip(b"\0") or stream.read(_BUFFER).lstrip(b"\0")
            if not fed:
                return
            decoder = lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
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
        message = "tar.zst needs the archives extra: pip install 'towpath[archives]'"
        raise UnsupportedFormatError(message, kind="archive") from None
    decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
    try:
        with decoder.stream_reader(stream, read_across_frames=True, closefd=False) as reader:
            while piece := reader.read(_BUFFER):
                yield piece
    except zstandard.ZstdError as error:
        raise EOFError from error


_READERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _by_file(lambda stream: gzip.GzipFile(fileobj=stream)),
    "bzip2": _by_file(bz2.BZ2File),
    "xz": _xz,
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
