"""The headers of a file that somebody made: harmless in a browser, right for a cache. Pure."""

from base64 import b64encode
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from towpath.clock import iso
from towpath.media.content_types import OCTET_STREAM, is_inline, is_script, sent_type
from towpath.media.names import content_disposition
from towpath.storage.records import StoredFile

__all__ = ["ALWAYS", "etag_of", "file_headers", "file_lines", "lines_of", "modified_of"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'"
_YEAR = 31_536_000
_DAY = 86_400
_EXPOSED = (
    "ETag, Content-Range, Accept-Ranges, Content-Length, Content-Disposition, Repr-Digest, "
    "X-Expires-At, X-Fal-Request-Id"
)

ALWAYS: dict[str, str] = {
    "x-content-type-options": "nosniff",
    "content-security-policy": f"{_POLICY}; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": _EXPOSED,
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
    "timing-allow-origin": "*",
}


def etag_of(record: StoredFile) -> str:
    """Return the strong validator of a file."""
    return f'"{record.sha256[:32]}"'


def modified_of(record: StoredFile) -> int:
    """Return the second before a file was saved: its weaker validator.

    The Date of an answer may lag by a fraction of a second, and no Last-Modified may be later
    than it (RFC 9110, 8.8.2.1).
    """
    return int(record.created) - 1


def file_headers(record: StoredFile, *, now: float, download: bool) -> dict[str, str]:
    """Return the headers of an answer that is about *record*.

    Args:
        record: the file.
        now: the wall clock.
        download: whether the caller asks for a download instead of a view.
    """
    headers = _lasting_headers(record, download=download)
    return headers | {"cache-control": _cache_control(record, now)}


def file_lines(record: StoredFile, *, now: float, download: bool) -> bytes:
    """Return `file_headers` as the lines of an answer."""
    lasting = _lasting_lines(record, download=download)
    return b"%bcache-control: %b\r\n" % (lasting, _cache_control(record, now).encode())


def lines_of(headers: Mapping[str, str]) -> bytes:
    """Return headers as lines.

    Raises:
        ValueError: one would break out of its line.
    """
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if text.count("\r") != len(headers) or text.count("\n") != len(headers) or "\0" in text:
        message = "a header holds a line break"
        raise ValueError(message)
    return text.encode("latin-1")


@lru_cache(maxsize=4096)
def _lasting_lines(record: StoredFile, *, download: bool) -> bytes:
    return lines_of(_lasting_headers(record, download=download))


@lru_cache(maxsize=4096)
def _lasting_headers(record: StoredFile, *, download: bool) -> dict[str, str]:
    """Return those that do not depend on the time; not to be changed."""
    bare = record.content_type.partition(";")[0].strip().lower()
    inline = is_inline(bare) and not download
    headers = ALWAYS | {
        "content-type": _content_type(record.content_type, bare),
        "content-disposition": content_disposition(
            "inline" if inline else "attachment", record.name
        ),
        "accept-ranges": "bytes",
        "etag": etag_of(record),
        "last-modified": formatdate(modified_of(record), usegmt=True),
        "repr-digest": f"sha-256=:{b64encode(bytes.fromhex(record.sha256)).decode()}:",
    }
    if bare == "application/pdf":
        headers["content-security-policy"] = _POLICY  # a sandbox breaks the browser's viewer
    if record.expires is not None:
        headers["x-expires-at"] = iso(record.expires)
        headers["expires"] = formatdate(record.expires, usegmt=True)
    return headers


def _content_type(content_type: str, bare: str) -> str:
    """Return the type as it was given; text without a charset is UTF-8.

    Scripts are sent as text, which no page runs: those of our own origin may run what is a script.
    """
    if sent_type(content_type) == OCTET_STREAM:
        return OCTET_STREAM
    if is_script(bare):
        return "text/plain; charset=utf-8"
    if bare.startswith("text/") and "charset" not in content_type.lower():
        return f"{content_type}; charset=utf-8"
    return content_type


def _cache_control(record: StoredFile, now: float) -> str:
    """Return for how long caches may keep a file: never longer than it lives."""
    if record.expires is None:
        return f"public, max-age={_YEAR}, immutable"
    left = max(0, int(record.expires - now))
    immutable = ", immutable" if left >= _DAY else ""
    return f"public, max-age={min(_YEAR, left)}{immutable}"
