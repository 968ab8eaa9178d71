"""The content of a 7z in small steps.

The naive way lets py7zr decode. It takes up to 128 MB of a member at a time and holds it three
times; its decoders of deflate, deflate64 and Zstandard make all they can of 1 MiB of input, which
may be gigabytes; and it keeps the dictionary of each folder until the archive is closed. Here a
step makes about 1 MiB, decoders that know no limit get a few bytes at a time, and one that is done
is let go.
"""

from collections.abc import Sequence
from typing import IO, Any

from py7zr.archiveinfo import Folder
from py7zr.compressor import (
    BrotliDecompressor,
    Deflate64Decompressor,
    DeflateDecompressor,
    SevenZipDecompressor,
    ZstdDecompressor,
)
from typing_extensions import override

__all__ = ["decode_in_steps"]

_STEP = 2**20
_BLOCK = 16 * 1024  # of input for each step, so that little of it waits for its turn
_BITE = 64  # bytes of input that become 2 MiB at the most
_UNLIMITED = (DeflateDecompressor, Deflate64Decompressor, ZstdDecompressor)


def decode_in_steps(folders: Sequence[Folder]) -> None:
    """Let the *folders* of an archive be decoded in steps; py7zr makes no other kind itself."""
    for folder in folders:
        folder.__class__ = _Folder


class _Folder(Folder):
    """What files are packed in."""

    __slots__ = ()

    @override
    def get_decompressor(self, packsize: int, reset: bool = False) -> SevenZipDecompressor:
        """Return the decoder, made at the first call."""
        if self.decompressor is None:
            self.decompressor = _Steps(self.coders, packsize, self.unpacksizes, self.crc)
        return self.decompressor


class _Steps(SevenZipDecompressor):
    """py7zr's chain of decoders, with a limit of what one call makes."""

    def __init__(
        self,
        coders: list[dict[str, Any]],
        packsize: int,
        unpacksizes: list[int],
        crc: int | None,
    ) -> None:
        super().__init__(coders, packsize, unpacksizes, crc, blocksize=_BLOCK)
        self._decoders: list[Any] = [_limited(each) for each in self.chain]
        self.chain = []

    @override
    def decompress(self, fp: IO[bytes], max_length: int = -1) -> bytes:
        """Return the next bytes, about 1 MiB at the most."""
        return bytes(super().decompress(fp, min(max_length, _STEP) if max_length >= 0 else _STEP))

    @override
    def _decompress(self, data: bytes, max_length: int) -> bytes:
        """Pass input through the chain; what comes after a decoder's last byte is its end mark."""
        for number, decoder in enumerate(self._decoders):
            if self._unpacked[number] >= self._unpacksizes[number]:
                data = b""
                continue
            data = decoder.decompress(data, max_length)
            self._unpacked[number] += len(data)
            if self._unpacked[number] >= self._unpacksizes[number]:
                self._decoders[number] = None  # with its dictionary
        return data


def _limited(decoder: Any) -> Any:  # noqa: ANN401 - py7zr's
    """Return a decoder that makes little more than it is asked for."""
    if isinstance(decoder, BrotliDecompressor):
        return _Waiting(decoder)
    return _Bites(decoder) if isinstance(decoder, _UNLIMITED) else decoder


class _Waiting:
    """Brotli's decoder, which takes no input before its output was taken."""

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401 - py7zr's
        self._decoder = decoder
        self._left = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return what the input becomes, little more than *max_length*; the rest of it waits."""
        data, self._left = self._left + bytes(data), b""
        if not self._decoder._decompressor.can_accept_more_data():  # noqa: SLF001 - nothing else tells
            data, self._left = b"", data
        return bytes(self._decoder.decompress(data, max_length))


class _Bites:
    """A decoder that knows no limit, and gets its input in bites until there is enough."""

    def __init__(self, decoder: Any) -> None:  # noqa: ANN401 - py7zr's
        self._decoder = decoder
        self._left = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return what the input becomes, little more than *max_length*; the rest of it waits."""
        data = self._left + bytes(data)
        if not data:
            return bytes(self._decoder.decompress(b""))
        pieces, size, at = [], 0, 0
        while at < len(data) and size < max_length:
            pieces.append(self._decoder.decompress(data[at : at + _BITE]))
            size += len(pieces[-1])
            at += _BITE
        self._left = data[at:]
        return b"".join(pieces)
