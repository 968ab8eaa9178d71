"""Conditions and ranges of a GET or HEAD (RFC 9110 sections 13 and 14). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from towpath.errors import RangeError

__all__ = ["Selection", "select"]

_UNIT = "bytes="
_LONGEST_HEADER = 200
_RANGE = re.compile(r"\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer.

    Attributes:
        status: 200, 206, 304 or 412.
        start: the first byte to send.
        stop: the byte after the last.
    """

    status: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """Return how many bytes are sent."""
        return self.stop - self.start


def select(headers: Mapping[str, str], *, etag: str, modified: float, size: int) -> Selection:
    """Decide what a request gets.

    Args:
        headers: the request's, names in lower case.
        etag: the file's strong validator, with its quotes.
        modified: when it was saved, seconds since 1970.
        size: bytes.

    Raises:
        RangeError: the one range that was asked for lies outside the file.
    """
    status = _condition(headers, etag, int(modified))
    if status is not None:
        return Selection(status, 0, 0)
    asked = headers.get("range")
    if asked is None or not _range_counts(headers.get("if-range"), etag, int(modified)):
        return Selection(200, 0, size)
    pair = _one_range(asked, size)
    return Selection(200, 0, size) if pair is None else Selection(206, *pair)


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


def _one_range(header: str, size: int) -> tuple[int, int] | None:
    """Read a Range of one part; None for several, another unit, or nonsense: send it all.

    Raises:
        RangeError: it lies outside.
    """
    if len(header) > _LONGEST_HEADER or not header.lower().startswith(_UNIT):
        return None
    match = _RANGE.fullmatch(header[len(_UNIT) :])
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = int(match[2])
        if length == 0 or size == 0:
            raise RangeError(size)
        return max(0, size - length), size
    first = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    if first >= size:
        raise RangeError(size)
    return first, min(last, size - 1) + 1
