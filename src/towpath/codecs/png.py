"""PNG written fast: by fpng where it is installed, else row by row with numpy and zlib.

Sources: PNG specification, third edition (W3C), sections 5, 7.2, 9, 11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from towpath.concurrency import side_by_side

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["Chunk", "fpng_writer", "write_fpng", "write_rows"]

_HEAD = 8 + 25  # the signature and the IHDR chunk
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
_LEAST_PART = 512 * 1024
_MOST_PARTS = 8
_LARGEST_KEPT = 31 * 2**20
_COLOUR_TYPES = {"L": (0, 8, 1), "I;16": (0, 16, 2), "RGB": (2, 8, 3), "LA": (4, 8, 2)}
_COLOUR_TYPES |= {"RGBA": (6, 8, 4)}


class Chunk(NamedTuple):
    """What goes between header and pixels, such as a text or a profile."""

    kind: bytes
    content: bytes


class _Fpng:
    """The fast writer, looked for once."""

    write: Callable[[bytes, int, int, int], bytes] | None = None
    looked = False


def fpng_writer() -> Callable[[bytes, int, int, int], bytes] | None:
    """Return fpng's writer of (pixels, width, height, channels), or None without a wheel."""
    if not _Fpng.looked:
        _Fpng.looked = True
        _keep_large_buffers()
        with suppress(ImportError):
            import fpng  # noqa: PLC0415 - optional

            _Fpng.write = fpng.from_bytes
    return _Fpng.write


def _keep_large_buffers() -> None:
    """Let the C library keep the megabytes that one picture frees for the next one.

    glibc takes a freed block of up to 32 MiB as a sign that such blocks come and go, and from then
    on neither maps nor unmaps them (mallopt(3), M_MMAP_THRESHOLD). Without it two thirds of a fast
    encoder's time are page faults. This block is never touched: it costs nothing.
    """
    block = bytearray(_LARGEST_KEPT)
    del block


def write_fpng(
    write: Callable[[bytes, int, int, int], bytes], image: PILImage, chunks: Iterable[Chunk]
) -> bytes:
    """Return an RGB or RGBA *image* as PNG, with *chunks* behind its header."""
    channels = _COLOUR_TYPES[image.mode][2]
    png = write(image.tobytes(), image.width, image.height, channels)
    extra = b"".join(_chunk(*each) for each in chunks)
    return png[:_HEAD] + extra + png[_HEAD:] if extra else png


def write_rows(image: PILImage, chunks: Iterable[Chunk]) -> bytes:
    """Return an L, LA, RGB, RGBA or I;16 *image* as PNG: each row less the one above it."""
    import numpy as np  # noqa: PLC0415 - when the first picture comes

    colour, depth, width = _COLOUR_TYPES[image.mode]
    raw = image.tobytes()
    rows = np.frombuffer(raw, np.uint8).reshape(image.height, image.width * width)
    if depth == 16:  # noqa: PLR2004 - bits; PNG has the high byte first
        rows = rows.reshape(image.height, -1, 2)[:, :, ::-1].reshape(image.height, -1)
    filtered = np.empty((image.height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    pixels = _deflated(filtered.data.cast("B"))
    header = struct.pack(">IIBBBBB", image.width, image.height, depth, colour, 0, 0, 0)
    body = (Chunk(b"IHDR", header), *chunks, Chunk(b"IDAT", pixels), Chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*each) for each in body)


def _deflated(data: memoryview) -> bytes:
    """Return *data* as a zlib stream (RFC 1950), its parts compressed side by side.

    zlib looks for runs only: on rows so filtered that takes a third of the time of its level 1,
    and the result is as small.
    """
    size = max(_LEAST_PART, -(-len(data) // _MOST_PARTS))
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    last = len(parts) - 1
    packed = side_by_side(lambda n: _part(parts[n], is_last=n == last), range(len(parts)))
    return b"\x78\x01" + b"".join(packed) + struct.pack(">I", zlib.adler32(data))


def _part(data: memoryview, *, is_last: bool) -> bytes:
    """Return one part of a deflate stream (RFC 1951), which ends on a whole byte."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_RLE)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if is_last else zlib.Z_FULL_FLUSH)


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Frame one chunk."""
    check = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
