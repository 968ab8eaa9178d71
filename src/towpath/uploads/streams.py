"""Streams of unknown length: looked into before they are read, counted while they are."""

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from typing_extensions import Buffer, override

from towpath.errors import UploadRefusedError

__all__ = ["reader_of"]

_BUFFER = 1024 * 1024


def reader_of(source: BinaryIO | Iterable[bytes], *, limit: int | None = None) -> io.BufferedReader:
    """Return a reader of *source*, which can be peeked into; *source* itself stays open.

    Args:
        source: a binary file, or pieces of bytes.
        limit: bytes that it may have.

    Raises:
        UploadRefusedError: by reading, when it has more than *limit* bytes.
    """
    if hasattr(source, "read"):
        file = cast("BinaryIO", source)
        pieces: Iterator[bytes] = iter(lambda: file.read(_BUFFER), b"")
    else:
        pieces = iter(source)
    return io.BufferedReader(_Pieces(pieces, limit), _BUFFER)


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes], limit: int | None) -> None:
        self._pieces = pieces
        self._limit = limit
        self._size = 0
        self._rest = memoryview(b"")

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        """Fill *buffer* from the next piece; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._count(len(piece))
            self._rest = memoryview(piece)
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _count(self, size: int) -> None:
        """Refuse more than the limit."""
        self._size += size
        if self._limit is not None and self._size > self._limit:
            reason = f"it has more than {self._limit} bytes, which is TOWPATH_MAX_UPLOAD_BYTES"
            raise UploadRefusedError(reason, status=413)
