"""The head of an HTTP answer, read strictly (RFC 9112). Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from typing_extensions import override

from towpath.errors import BadResponseError

__all__ = ["Fields", "Head", "content_range", "declared_size", "parse_head", "retry_after"]

_MOST_FIELDS = 100
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", re.IGNORECASE)


class Fields(Mapping[str, str]):
    """Header fields by name in lower case; `get` joins repeated ones with commas."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    @override
    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    @override
    def __len__(self) -> int:
        return len(self._values)

    def each(self, name: str) -> list[str]:
        """Return every value of a field, as they came."""
        return self._values.get(name.lower(), [])


@dataclass(frozen=True, slots=True)
class Head:
    """A status line and its fields.

    Attributes:
        status: the HTTP status code.
        fields: the header fields.
        keeps: whether the server says nothing against another request on the connection.
    """

    status: int
    fields: Fields
    keeps: bool


def parse_head(url: str, data: bytes) -> Head:
    """Read a head, up to and with its empty line.

    Raises:
        BadResponseError: it is not HTTP/1, or a line of it is none.
    """
    lines = data.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    status = _STATUS.fullmatch(lines[0])
    if status is None:
        raise BadResponseError(url, "its answer is not HTTP")
    if len(lines) - 1 > _MOST_FIELDS:
        raise BadResponseError(url, f"its answer has more than {_MOST_FIELDS} header fields")
    fields = Fields(_pairs(url, lines[1:]))
    says = {word.strip().lower() for word in fields.get("connection", "").split(",")}
    keeps = "keep-alive" in says if status[1] == "0" else "close" not in says
    return Head(int(status[2]), fields, keeps)


def _pairs(url: str, lines: list[str]) -> list[tuple[str, str]]:
    """Split field lines; a folded one continues the line before it (RFC 9112 section 5.2)."""
    pairs: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in {" ", "\t"} and pairs:
            name, value = pairs.pop()
            pairs.append((name, f"{value} {line.strip()}"))
            continue
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name) or re.search(r"[\x00\r]", value):
            raise BadResponseError(url, "a line of its headers is none")
        pairs.append((name, value.strip(" \t")))
    return pairs


def declared_size(url: str, fields: Fields) -> int | None:
    """Return the length that the headers declare, or None (RFC 9112 section 6.3).

    Raises:
        BadResponseError: it is not a number, or two lengths differ, or the framing is unknown.
    """
    framing = [part.strip().lower() for part in fields.each("transfer-encoding")]
    if framing and framing != ["chunked"]:
        raise BadResponseError(url, "its transfer coding is not chunked")
    lengths = {p.strip() for value in fields.each("content-length") for p in value.split(",")}
    if len(lengths) > 1:
        raise BadResponseError(url, "it declares two different lengths")
    if not lengths:
        return None
    text = lengths.pop()
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise BadResponseError(url, "its declared length is not a number")
    return None if framing else int(text)


def content_range(url: str, fields: Fields) -> tuple[int, int, int]:
    """Return first byte, byte after the last, and total of a 206 (RFC 9110 section 14.4).

    Raises:
        BadResponseError: there is none that can be read, or its numbers make no sense.
    """
    match = _RANGE.fullmatch(fields.get("content-range", "").strip())
    if match is None:
        raise BadResponseError(url, "it answered 206 without a readable Content-Range")
    first, last, total = (int(number) for number in match.groups())
    if not first <= last < total:
        raise BadResponseError(url, "the numbers of its Content-Range make no sense")
    return first, last + 1, total


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After asks for, or None (RFC 9110 section 10.2.3).

    Args:
        value: seconds or an HTTP date.
        now: seconds since the epoch.
    """
    if not value:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
