"""What makes a small image take long to decode, counted before it is: scans and frames. Pure."""

import re
from collections.abc import Callable
from mmap import mmap

__all__ = ["MOST_FRAMES", "MOST_SCANS", "frames_by_seeking", "gif_frames", "jpeg_scans"]

MOST_SCANS = 100
"""As libtiff's limit. Real progressive images have about ten; each costs a pass over all blocks."""
MOST_FRAMES = 20_000

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_EOI, _SOS = b"\xd9", b"\xda"
_ALONE = frozenset({b"\x01", b"\xd8"})
_GIF_BLOCK = re.compile(rb"[!,;]")
_HAS_COLOURS, _COLOURS = 0x80, 0x07


def jpeg_scans(data: bytes | mmap, most: int = MOST_SCANS) -> int:
    """Return how many scans a JPEG has, and *most* + 1 if it has more (ITU-T T.81, annex B).

    What follows the end of the image (the clip of a motion photo) is not looked at.
    """
    count, at = 0, 2
    while count <= most and (marker := _MARKER.search(data, at)) is not None:
        if marker[1] == _EOI:
            break
        count += marker[1] == _SOS
        at = marker.end()
        if marker[1] not in _ALONE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return count


def gif_frames(data: bytes | mmap, most: int = MOST_FRAMES) -> int:
    """Return how many images a GIF has, and *most* + 1 if it has more (GIF89a, 18 to 26).

    Bytes between blocks that belong to none are passed over, as Pillow does.
    """
    count, at = 0, 13 + _colour_table(data, 10)
    while count <= most and (block := _GIF_BLOCK.search(data, at)) is not None:
        if block[0] == b";":
            break
        at = block.end() + 1
        if block[0] == b",":
            count += 1
            at = block.end() + 10 + _colour_table(data, block.end() + 8)
        while at < len(data) and data[at]:  # sub-blocks, up to one of no length
            at += 1 + data[at]
        at += 1
    return count


def _colour_table(data: bytes | mmap, at: int) -> int:
    """Return the bytes of the colour table that the flags at *at* announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & _COLOURS) + 1 if flags & _HAS_COLOURS else 0


def frames_by_seeking(seek: Callable[[int], object], most: int = MOST_FRAMES) -> int:
    """Return how often *seek* finds another frame, and *most* + 1 if it finds more."""
    for number in range(1, most + 1):
        try:
            seek(number)
        except EOFError:
            return number
    return most + 1
