"""`data:` URIs (RFC 2397), in and out.

The text of one may be a hundred megabytes, and whatever splits, strips, encodes or hashes it copies
it. So the first thing that is done with one is `check_length`, which only counts characters.
"""

import base64
import binascii
import re
from urllib.parse import quote, unquote, unquote_to_bytes

from towpath.errors import FileTooLargeError, InvalidURLError
from towpath.media.content_types import is_header_safe

__all__ = ["MOST_INLINE", "check_length", "is_data_uri", "parse", "write"]

MOST_INLINE = 64 * 2**20
"""Bytes that inline data may have where a call sets no limit."""

_LONGEST_TYPE = 1024
_SLACK = 4096  # characters of white space that any data may have in it

_BLANKS = b" \t\r\n\f\v"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BLANKS_AROUND = re.compile(r"\s*;\s*")
_SAFE = "/;=+:@!$&'()*?"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


def is_data_uri(url: str) -> bool:
    """Return whether *url* is a data: URI."""
    return url[:5].lower() == "data:"


def parse(uri: str, *, limit: int | None = None) -> tuple[bytes, str]:
    """Return the bytes and the content type in *uri*.

    Accepts base64 (also percent-encoded, url-safe, with white space, without padding) and
    percent-encoded text. The length is checked before anything is decoded.

    Raises:
        InvalidURLError: there is no comma, or the base64 is broken.
        FileTooLargeError: the decoded bytes are more than *limit*.
    """
    comma, is_base64, kind = _read_header(uri)
    _check_text(uri, comma, limit, is_base64=is_base64)
    encoded = _bytes_of(uri, uri[comma + 1 :])
    data = _from_base64(uri, encoded) if is_base64 else unquote_to_bytes(encoded)
    _check_size(uri, len(data), limit)
    return data, kind


def check_length(uri: str, limit: int) -> None:
    """Refuse a *uri* whose data has more than *limit* bytes, without a copy of it.

    Raises:
        InvalidURLError: it has no type and comma, or far more characters than its data needs.
        FileTooLargeError: the data has more.
    """
    comma, is_base64, _ = _read_header(uri)
    _check_text(uri, comma, limit, is_base64=is_base64)


def _check_text(uri: str, comma: int, limit: int | None, *, is_base64: bool) -> None:
    """Judge the length of the text: by what it holds at least, and by what it may need at most."""
    if limit is None:
        return
    _check_size(uri, _least_size(uri, comma + 1, is_base64=is_base64), limit)
    most = 4 * limit + _SLACK  # every character of the base64 percent-encoded
    if len(uri) - comma > most:
        reason = f"it has {len(uri)} characters, and {most} are enough for {limit} bytes of data"
        raise InvalidURLError(uri, f"{reason}. Leave out white space.")


def _read_header(uri: str) -> tuple[int, bool, str]:
    """Return where the comma is, whether base64 follows it, and the content type."""
    comma = uri.find(",", 5, 5 + _LONGEST_TYPE)
    if comma < 0:
        reason = "a data: URI needs a comma between its type and its data"
        raise InvalidURLError(uri, f"{reason}, within {_LONGEST_TYPE} characters")
    kind, is_base64 = _split_header(uri, uri[5:comma])
    return comma, is_base64, kind


def _split_header(uri: str, header: str) -> tuple[str, bool]:
    """Return the content type and whether the data is base64."""
    stem, semicolon, last = header.rpartition(";")
    is_base64 = last.strip().lower() == "base64" and (bool(semicolon) or last == header)
    kind = unquote(stem if is_base64 else header).strip()
    if kind.startswith(";"):
        kind = f"text/plain{kind}"
    if kind and not is_header_safe(kind):
        raise InvalidURLError(uri, "the type of the data: URI is not a content type")
    return kind or "text/plain;charset=US-ASCII", is_base64


def _bytes_of(uri: str, body: str) -> bytes:
    """Return the ASCII of the data part."""
    try:
        return body.encode("ascii")
    except UnicodeEncodeError:
        raise InvalidURLError(uri, "the data of a data: URI must be ASCII") from None


def _least_size(uri: str, start: int, *, is_base64: bool) -> int:
    """Return how many bytes the data has at least, judged without a copy of it."""
    escapes = uri.count("%", start)
    if not is_base64:
        return len(uri) - start - 2 * escapes
    blanks = sum(uri.count(chr(blank), start) for blank in _BLANKS)
    padding = uri.count("=", max(start, len(uri) - 8))
    return max(0, len(uri) - start - 3 * escapes - blanks - padding) * 3 // 4


def _from_base64(uri: str, encoded: bytes) -> bytes:
    """Decode base64 strictly."""
    plain = unquote_to_bytes(encoded) if b"%" in encoded else encoded
    text = plain.translate(_URL_SAFE, _BLANKS)
    missing = -len(text) % 4
    if not _BASE64.fullmatch(text) or (missing and b"=" in text) or missing == 3:  # noqa: PLR2004
        raise InvalidURLError(uri, "the base64 data is broken; encode the file again")
    try:
        return binascii.a2b_base64(text + b"=" * missing, strict_mode=True)
    except binascii.Error:
        raise InvalidURLError(uri, "the base64 data is broken; encode the file again") from None


def _check_size(uri: str, size: int, limit: int | None) -> None:
    """Refuse more bytes than *limit*."""
    if limit is not None and size > limit:
        raise FileTooLargeError(uri, size=size, limit=limit)


def write(data: bytes, content_type: str) -> str:
    """Return *data* as a base64 data: URI; `parse` returns the same bytes and the same type.

    A comma in the type would end it, and a `#` the URI: they are escaped (RFC 2397, section 3),
    as all that no URI may hold. Blanks around `;` are left out, since browsers do not decode them.
    """
    kind = quote(_BLANKS_AROUND.sub(";", content_type), safe=_SAFE)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
