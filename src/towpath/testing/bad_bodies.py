"""Bodies that are not what was declared: lengths, chunks, codings, digests."""

import base64
import gzip
import hashlib
import struct
import zlib

from towpath.testing.misbehaviours import BODY, HALF, on, raw
from towpath.testing.origins import Exchange

# --- bodies that are not what was declared ---


@on("/closes-early", "small", "closes after 300 kB, again and again; gives ranges")
def _closes_early(exchange: Exchange) -> None:
    exchange.serve(BODY, most=300_000)


@on("/never-whole", "TruncatedError", "closes half-way, always; gives no ranges")
def _never_whole(exchange: Exchange) -> None:
    exchange.head("200 OK", Content_Length=len(BODY))
    exchange.send(BODY[:HALF])
    exchange.close()


@on("/no-length", "small", "declares no length and closes at the end")
def _no_length(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.0 200 OK\r\n\r\n" + BODY)
    exchange.close()


@on("/longer", "small", "sends more than it declares")
def _longer(exchange: Exchange) -> None:
    exchange.answer(BODY)
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")


@on("/weak-etag", "small", "cuts the first body; its validator is weak")
def _weak_etag(exchange: Exchange) -> None:
    exchange.serve(BODY, most=HALF if exchange.number == 1 else 0, ETag='W/"v1"')


@on("/endless", "FileTooLargeError", "sends without an end, and declares no length")
def _endless(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while not exchange.wait(0):
        exchange.send(BODY)


@on("/length-and-chunked", "small", "declares a false length and chunks")
def _length_and_chunked(exchange: Exchange) -> None:
    exchange.head("200 OK", Content_Length=5, Transfer_Encoding="chunked")
    exchange.send(f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n")


@on("/same-length-twice", "small", "declares the right length two times")
def _same_length_twice(exchange: Exchange) -> None:
    exchange.head("200 OK", Content_Length=f"{len(BODY)}, {len(BODY)}")
    exchange.send(BODY)


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
raw(
    "/chunks-cut", "TruncatedError", "chunks, and closes before the last one", _CHUNKED + b"9\r\nab"
)
raw("/chunk-size-negative", "BadResponseError", "chunks of size -5", _CHUNKED + b"-5\r\nab\r\n")
raw("/chunk-size-none", "BadResponseError", "a chunk size that is none", _CHUNKED + b"zz\r\n")
for _name, _value in (("a-word", "abc"), ("negative", "-1"), ("two-values", "3, 4")):
    _text = f"HTTP/1.1 200 OK\r\nContent-Length: {_value}\r\n\r\nabc".encode()
    raw(f"/length-{_name}", "BadResponseError", f"declares the length {_value}", _text)
raw(
    "/length-absurd",
    "DiskFullError",
    "declares 2^63 - 1 bytes",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nabc",
)

# --- codings and digests ---


@on("/gzip-anyway", "small", "compresses though nobody asked")
def _gzip_anyway(exchange: Exchange) -> None:
    exchange.answer(gzip.compress(BODY, 1), Content_Encoding="gzip", ETag='"v1"')


@on("/stored.gz", "odd", "names the type of a packed file a coding")
def _stored_packed(exchange: Exchange) -> None:
    exchange.answer(gzip.compress(b"packed", 1), Content_Encoding="gzip")


@on("/gzip-bomb", "BadResponseError", "sends 100 MB in 100 kB")
def _gzip_bomb(exchange: Exchange) -> None:
    """Send one packed block a hundred times: to pack it all would take longer than callers wait."""
    piece, packer, checksum = bytes(1_000_000), zlib.compressobj(9, zlib.DEFLATED, -15), 0
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(100):
        checksum = zlib.crc32(piece, checksum)
    tail = packer.flush() + struct.pack("<II", checksum, 100 * len(piece))
    exchange.answer(gzip.compress(b"")[:10] + block * 100 + tail, Content_Encoding="gzip")


@on("/coding-unknown", "BadResponseError", "uses a coding that nobody knows")
def _coding_unknown(exchange: Exchange) -> None:
    exchange.answer(BODY, Content_Encoding="x-own")


@on("/digest-right", "small", "states the right digest")
def _digest_right(exchange: Exchange) -> None:
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    exchange.serve(BODY, Repr_Digest=f"sha-256=:{digest}:")


@on("/digest-wrong", "DigestError", "states the digest of something else")
def _digest_wrong(exchange: Exchange) -> None:
    digest = base64.b64encode(hashlib.md5(b"else", usedforsecurity=False).digest()).decode()
    exchange.answer(BODY, Content_MD5=digest)
