"""The answer of a stranger's server: read with patience that ends, in bytes that are counted."""

import http.client
import io
import re
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from towpath.errors import (
    BadResponseError,
    DownloadError,
    SourceUnavailableError,
    TruncatedError,
)

__all__ = ["Answer", "Patience", "PatientSocket", "declared_size"]

_USEFUL = 64 * 1024  # so many bytes, or the rest of the file, reset the clock
_MOST_HEAD = 128 * 1024
_BUFFER = 256 * 1024
_LONGEST_LINE = 4096
_MOST_TRAILERS = 100
_MOST_RATIO = 200
_RATIO_FREE = 10 * 2**20


class Patience:
    """How long to go on without a useful amount of bytes.

    A byte now and then does not reset the clock; 64 KiB do.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self.url = url
        self.seconds = seconds
        self.in_head = True
        self._until = time.monotonic() + seconds
        self._seen = 0

    def remaining(self) -> float:
        """Return the seconds left; raise SourceUnavailableError when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            reason = f"the server sent less than {_USEFUL} bytes in {self.seconds:g} s"
            raise SourceUnavailableError(self.url, reason)
        return left

    def note(self, size: int) -> None:
        """Count *size* bytes that came."""
        self._seen += size
        if self.in_head and self._seen > _MOST_HEAD:
            reason = f"its headers are longer than {_MOST_HEAD} bytes"
            raise BadResponseError(self.url, reason)
        if not self.in_head and self._seen >= _USEFUL:
            self._seen = 0
            self._until = time.monotonic() + self.seconds

    def start_body(self) -> None:
        """Begin to count the body."""
        self.in_head = False
        self._seen = 0
        self._until = time.monotonic() + self.seconds


class _PatientReader(io.RawIOBase):
    """The receiving half of a socket; every wait is bounded by the patience."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        self._sock.settimeout(self._patience.remaining())
        try:
            size = self._sock.recv_into(buffer)
        except TimeoutError:
            self._patience.remaining()
            raise
        self._patience.note(size)
        return size


class PatientSocket:
    """What `http.client` needs of a socket, with our reader in it."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self.patience = patience

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the reader that the answer is parsed from."""
        del mode  # always "rb"
        return io.BufferedReader(_PatientReader(self._sock, self.patience), _BUFFER)

    def sendall(self, data: bytes) -> None:
        """Send the request."""
        self._sock.settimeout(self.patience.remaining())
        self._sock.sendall(data)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and headers that have come, and a body that has not yet been read.

    Attributes:
        url: where the answer came from, after redirects.
        status: the HTTP status code.
        headers: the headers.
        size: the declared length of the body in bytes, or None.
    """

    url: str
    status: int
    headers: http.client.HTTPMessage
    size: int | None
    raw: http.client.HTTPResponse
    sock: PatientSocket

    @property
    def coding(self) -> str:
        """Return the content coding, `identity` if there is none."""
        return (self.headers.get("content-encoding") or "identity").strip().lower()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body, decoded.

        Raises:
            TruncatedError: the body ended before its declared length.
            SourceUnavailableError: the connection broke, or the server is too slow.
            BadResponseError: the framing or the coding is broken.
        """
        self.sock.patience.start_body()
        wire = self._wire()
        if self.coding in {"identity", ""}:
            yield from wire
        elif self.coding in {"gzip", "x-gzip", "deflate"}:
            yield from _inflated(self.url, wire)
        else:
            reason = f"it is compressed with {self.coding!r}, which is not read"
            raise BadResponseError(self.url, reason)

    def _wire(self) -> Iterator[bytes]:
        """Yield the body as it comes, and check its framing and length."""
        got = 0
        parts = _chunked(self.url, self.raw.fp) if self.raw.chunked else self._plain()
        try:
            for part in parts:
                got += len(part)
                yield part
        except DownloadError:
            raise
        except OSError as error:
            reason = f"the connection broke after {got} bytes ({error.strerror or 'closed'})"
            raise SourceUnavailableError(self.url, reason) from None
        if self.size is not None and got < self.size:
            raise TruncatedError(self.url, got=got, expected=self.size)

    def _plain(self) -> Iterator[bytes]:
        """Yield a body that is not chunked; `http.client` stops at the declared length."""
        while part := self.raw.read1(_BUFFER):
            yield part

    def close(self) -> None:
        """Close the connection; a body that was not read stays unread."""
        self.raw.close()
        self.sock.close()


def _chunked(url: str, stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Undo the chunked coding, strictly (RFC 9112 section 7.1)."""
    broken = BadResponseError(url, "its chunked framing is broken")
    got = 0
    while left := _chunk_size(url, stream.readline(_LONGEST_LINE), got):
        while left:
            part = stream.read1(min(left, _BUFFER))
            if not part:
                raise TruncatedError(url, got=got, expected=got + left)
            got += len(part)
            left -= len(part)
            yield part
        if stream.readline(3) not in {b"\r\n", b"\n"}:
            raise broken
    for _ in range(_MOST_TRAILERS):
        line = stream.readline(_LONGEST_LINE)
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


def _inflated(url: str, wire: Iterator[bytes]) -> Iterator[bytes]:
    """Undo gzip or zlib, at most a buffer at a time."""
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    packed = plain = 0
    try:
        for chunk in wire:
            packed += len(chunk)
            rest = chunk
            while rest and not decoder.eof:
                part = decoder.decompress(rest, _BUFFER)
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


def declared_size(url: str, headers: http.client.HTTPMessage) -> int | None:
    """Return the length that the headers declare, or None (RFC 9112 section 6.3).

    Raises:
        BadResponseError: it is not a number, or two lengths differ, or the framing is unknown.
    """
    framing = [part.strip().lower() for part in headers.get_all("transfer-encoding") or []]
    if framing and framing != ["chunked"]:
        raise BadResponseError(url, "its transfer coding is not chunked")
    lengths = {
        part.strip()
        for value in headers.get_all("content-length") or []
        for part in value.split(",")
    }
    if len(lengths) > 1:
        raise BadResponseError(url, "it declares two different lengths")
    if not lengths:
        return None
    text = lengths.pop()
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise BadResponseError(url, "its declared length is not a number")
    return None if framing else int(text)
