"""zlib streams of many rows, packed on several processors: by ISA-L where it has a wheel.

Sources: RFC 1950 (zlib), RFC 1951 (deflate).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from towpath.concurrency import side_by_side

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Rows", "crc32", "deflated", "has_isal", "packed_size"]

Rows = Callable[[int, int], memoryview]
"""Return the bytes of the rows from one number up to, but not with, another."""

_LEAST_PART = 512 * 1024
_MOST_WORKERS = 8
_EACH = 2
_BASE = 65521  # of Adler-32: the largest prime below 2**16
_HEADER = b"\x78\x01"


class _Isal:
    """Intel's library, looked for once."""

    module: ModuleType | None = None
    looked = False


class _Packed(NamedTuple):
    """One part: its deflate blocks, and what is known of its bytes."""

    blocks: bytes
    adler: int
    size: int


def has_isal() -> bool:
    """Tell whether the fast library is installed."""
    return _isal() is not None


def _isal() -> ModuleType | None:
    if not _Isal.looked:
        _Isal.looked = True
        with suppress(ImportError):
            from isal import isal_zlib  # noqa: PLC0415 - optional

            _Isal.module = isal_zlib
    return _Isal.module


def crc32(data: bytes, start: int = 0) -> int:
    """Return the CRC-32 of *data*, going on from *start*."""
    check: int = (_isal() or zlib).crc32(data, start)
    return check


def packed_size(data: bytes) -> int:
    """Return about how many bytes *data* takes in a stream."""
    return len(_part(memoryview(data), is_last=True).blocks)


def deflated(rows: Rows, count: int, size: int) -> bytes:
    """Return *count* rows as one zlib stream, its parts packed side by side.

    Args:
        rows: gives the bytes of some of them; is called in several threads.
        count: how many there are.
        size: about how many bytes they have.
    """
    workers = min(_MOST_WORKERS, _processors())
    parts = max(1, min(workers * _EACH if workers > 1 else 1, size // _LEAST_PART, count))
    cuts = [count * part // parts for part in range(parts + 1)]
    packed = side_by_side(
        lambda n: _part(rows(cuts[n], cuts[n + 1]), is_last=n == parts - 1),
        range(parts),
        helpers=workers - 1,
    )
    adler = 1
    for each in packed:
        adler = _joined(adler, each.adler, each.size)
    return b"".join((_HEADER, *(each.blocks for each in packed), struct.pack(">I", adler)))


def _processors() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _part(data: memoryview, *, is_last: bool) -> _Packed:
    """Return one part of a deflate stream, which ends on a whole byte.

    zlib looks for runs only: on rows less those above them that takes a third of the time of its
    level 1, and the result is as small.
    """
    fast = _isal()
    if fast is not None:
        packer = fast.compressobj(1, fast.DEFLATED, -15)
    else:
        packer = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    end = zlib.Z_FINISH if is_last else zlib.Z_FULL_FLUSH
    blocks = packer.compress(data) + packer.flush(end)
    return _Packed(blocks, (fast or zlib).adler32(data), len(data))


def _joined(first: int, second: int, size: int) -> int:
    """Return the Adler-32 of two parts from theirs and the *size* of the second.

    The low half is 1 and the sum of all bytes, the high half the sum of all low halves
    (RFC 1950 section 8.2): each byte of the second part adds what the first's low half is above 1.
    """
    above = (first & 0xFFFF) - 1
    low = (above + (second & 0xFFFF)) % _BASE
    high = ((first >> 16) + (second >> 16) + size * above) % _BASE
    return high << 16 | low
