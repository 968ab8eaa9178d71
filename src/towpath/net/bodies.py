"""The body of an answer: framing checked, codings undone, in pieces that are bounded."""

import re
import zlib
from collections.abc import Iterator

from towpath.errors import BadResponseError, TruncatedError
from towpath.net.connection import BUFFER, Connection

__all__ = ["chunked", "inflated", "sized", "until_close"]

_LONGEST_LINE = 4096
_MOST_TRAILERS = 100
_MOST_RATIO = 200
_RATIO_FREE = 10 * 2**20
_LARGE = 2**20
_FIRST_STEP = 16 * 1024  # so that a far link is known as one before a whole buffer came


def sized(url: str, connection: Connection, size: int) -> Iterator[memoryview]:
    """Yield exactly *size* bytes; each piece is valid until the next one is asked for.

    Raises:
        TruncatedError: the stream ended before.
    """
    most = connection.piece
    buffer = memoryview(bytearray(min(size, most)))
    got, step = 0, _FIRST_STEP if size >= _LARGE else most
    while got < size:
        count = connection.fill(buffer[: min(step, size - got)])
        if not count:
            raise TruncatedError(url, got=got, expected=size)
        got += count
        step = min(step * 2, most)
        yield buffer[:count]


def until_close(connection: Connection) -> Iterator[memoryview]:
    """Yield what comes until the server closes: a body without a length."""
    buffer = memoryview(bytearray(BUFFER))
    while count := connection.fill(buffer):
        yield buffer[:count]


def chunked(url: str, connection: Connection) -> Iterator[memoryview]:
    """Undo the chunked coding, strictly (RFC 9112 section 7.1)."""
    broken = BadResponseError(url, "its chunked framing is broken")
    buffer = memoryview(bytearray(BUFFER))
    got = 0
    while left := _chunk_size(url, connection.read_line(), got):
        while left:
            count = connection.fill(buffer[: min(left, BUFFER)])
            if not count:
                raise TruncatedError(url, got=got, expected=got + left)
            got += count
            left -= count
            yield buffer[:count]
        if connection.read_line() not in {b"\r\n", b"\n"}:
            raise broken
    for _ in range(_MOST_TRAILERS):
        line = connection.read_line()
        if not line:
            raise TruncatedError(url, got=got, expected=got + 1)
        if line in {b"\r\n", b"\n"}:
            return
    raise broken


def _chunk_size(url: str, line: bytes, got: int) -> int:
    """Read the line before a chunk."""
    if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
        raise TruncatedError(url, got=got, expected=got + 1)
    size = line.partition(b";")[0].strip()
    if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", size):
        raise BadResponseError(url, "its chunked framing is broken")
    return int(size, 16)


def inflated(url: str, wire: Iterator[memoryview]) -> Iterator[bytes]:
    """Undo gzip or zlib, at most a buffer at a time.

    Raises:
        BadResponseError: it is broken or cut, or unpacks to more than 200 times its size.
    """
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    packed = plain = 0
    try:
        for piece in wire:
            packed += len(piece)
            rest = bytes(piece)
            while rest and not decoder.eof:
                part = decoder.decompress(rest, BUFFER)
                plain += len(part)
                if plain > _RATIO_FREE and plain > _MOST_RATIO * packed:
                    reason = f"its body unpacks to more than {_MOST_RATIO} times its size"
                    raise BadResponseError(url, reason)
                yield part
                rest = decoder.unconsumed_tail
    except zlib.error:
        raise BadResponseError(url, "its compressed body is broken") from None
    if not decoder.eof:
        raise BadResponseError(url, "its compressed body ends too early")
