"""Conditions and ranges of a GET or HEAD (RFC 9110 sections 13 and 14). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from towpath.errors import RangeError

__all__ = ["Selection", "select"]

_UNIT = "bytes="
_LONGEST_HEADER = 500
_MOST_RANGES = 8
_RANGE = re.compile(r"\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer.

    Attributes:
        status: 200, 206, 304 or 412.
        spans: the parts of the file to send, each its first byte and the byte after its last;
            several make a multipart/byteranges body.
    """

    status: int
    spans: tuple[tuple[int, int], ...] = ()


def select(
    headers: Mapping[str, str], *, etag: str, modified: float, size: int, method: str = "GET"
) -> Selection:
    """Decide what a request gets.

    Args:
        headers: the request's, names in lower case.
        etag: the file's strong validator, with its quotes.
        modified: when it was saved, seconds since 1970.
        size: bytes.
        method: GET or HEAD; only a GET has ranges (RFC 9110, 14.2).

    Raises:
        RangeError: all ranges that were asked for lie outside the file.
    """
    status = _condition(headers, etag, int(modified))
    if status is not None:
        return Selection(status)
    asked = headers.get("range") if method == "GET" else None
    spans = None
    if asked is not None and _range_counts(headers.get("if-range"), etag, int(modified)):
        spans = _spans(asked, size)
    return Selection(200, ((0, size),)) if spans is None else Selection(206, spans)


def _condition(headers: Mapping[str, str], etag: str, modified: int) -> int | None:
    """Evaluate the conditions in the order of RFC 9110 section 13.2.2."""
    if (match := headers.get("if-match")) is not None:
        if not _listed(match, etag, weak=False):
            return 412
    elif (since := _date(headers.get("if-unmodified-since"))) is not None and modified > since:
        return 412
    if (none_match := headers.get("if-none-match")) is not None:
        return 304 if _listed(none_match, etag, weak=True) else None
    if (since := _date(headers.get("if-modified-since"))) is not None and modified <= since:
        return 304
    return None


def _listed(header: str, etag: str, *, weak: bool) -> bool:
    """Return whether *etag* is in a list of validators."""
    if header.strip() == "*":
        return True
    for item in header.split(","):
        candidate = item.strip()
        if candidate == etag or (weak and candidate.removeprefix("W/") == etag):
            return True
    return False


def _date(header: str | None) -> int | None:
    """Read an HTTP date; one that cannot be read is as good as none."""
    if header is None:
        return None
    try:
        return int(parsedate_to_datetime(header).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def _range_counts(if_range: str | None, etag: str, modified: int) -> bool:
    """Return whether the Range header holds: If-Range compares strongly."""
    if if_range is None:
        return True
    value = if_range.strip()
    return value == etag if '"' in value else _date(value) == modified


def _spans(header: str, size: int) -> tuple[tuple[int, int], ...] | None:
    """Read a Range header; None = send it all.

    That is for another unit, nonsense, more than eight ranges, and ranges that together are longer
    than the file (RFC 9110, 14.2 and 17.15).

    Raises:
        RangeError: all lie outside.
    """
    if len(header) > _LONGEST_HEADER or not header.lower().startswith(_UNIT):
        return None
    parts = [part for part in header[len(_UNIT) :].split(",") if part.strip()]
    matches = [_RANGE.fullmatch(part) for part in parts]
    if not matches:
        return None
    spans: list[tuple[int, int]] = []
    for match in matches:
        if match is None or not _is_range(match[1], match[2]):
            return None
        span = _span(match[1], match[2], size)
        if span is not None:
            spans.append(span)
    if not spans:
        raise RangeError(size)
    if len(matches) > _MOST_RANGES or sum(stop - start for start, stop in spans) > size:
        return None
    return tuple(spans)


def _is_range(first: str, last: str) -> bool:
    """Return whether two numbers, of which one may be missing, say a range."""
    if first and last:
        return int(first) <= int(last)
    return bool(first or last)


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    """Return where a range begins and ends, or None when it lies outside the file."""
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else None
    if int(first) >= size:
        return None
    return int(first), min(int(last or size), size - 1) + 1
