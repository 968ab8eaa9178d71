"""PNG written fast: by fpng where it is installed, else row by row with numpy.

Sources: PNG specification, third edition (W3C), sections 5, 7.2, 9, 11.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from towpath.codecs.deflate import crc32, deflated

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["Chunk", "fpng_writer", "write_fpng", "write_rows"]

_HEAD = 8 + 25  # the signature and the IHDR chunk
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
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
    colour, depth, width = _COLOUR_TYPES[image.mode]
    size = image.width * image.height * width
    pixels = deflated(lambda start, stop: _filtered(image, start, stop), image.height, size)
    header = struct.pack(">IIBBBBB", image.width, image.height, depth, colour, 0, 0, 0)
    body = (Chunk(b"IHDR", header), *chunks, Chunk(b"IDAT", pixels), Chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*each) for each in body)


def _filtered(image: PILImage, start: int, stop: int) -> memoryview:
    """Return the rows from *start* to *stop*, each less the one above it (filter type 2)."""
    import numpy as np  # noqa: PLC0415 - when the first picture comes

    above = max(start - 1, 0)
    raw = image.crop((0, above, image.width, stop)).tobytes()
    rows = np.frombuffer(raw, np.uint8).reshape(stop - above, -1)
    if image.mode == "I;16":  # PNG has the high byte first
        rows = rows.reshape(stop - above, -1, 2)[:, :, ::-1].reshape(stop - above, -1)
    filtered = np.empty((stop - start, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    if not start:
        filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1 - start + above :, 1:])
    return filtered.data.cast("B")


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Frame one chunk."""
    check = crc32(content, crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
