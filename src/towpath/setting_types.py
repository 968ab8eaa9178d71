"""The types of settings, and how their texts are read: sizes, lifetimes, names, addresses."""

import re
from collections.abc import Callable, Container
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

__all__ = [
    "LIFETIMES",
    "LIFE_FORM",
    "LONGEST_LIFE",
    "AllowedHosts",
    "DatabaseUrl",
    "HostNames",
    "Life",
    "Listed",
    "Networks",
    "Origins",
    "Size",
    "WebAddress",
    "bytes_of",
    "unread_names",
]

LONGEST_LIFE = 100 * 365 * 86_400  # a hundred years: what every clock and database can write down
LIFETIMES: dict[str, int | None] = {
    "never": None,
    "immediate": 60,
    "1h": 3600,
    "1d": 86_400,
    "7d": 7 * 86_400,
    "30d": 30 * 86_400,
    "1y": 365 * 86_400,
}
LIFE_FORM = (
    f"give seconds of at least 1 and at most {LONGEST_LIFE} (100 years), or one of "
    f"{', '.join(LIFETIMES)}"
)

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def bytes_of(text: str) -> int:
    """Read `64MiB` as bytes.

    Raises:
        ValueError: it is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS:
        message = "give bytes, or a number with a unit such as 64MiB or 2GB"
        raise ValueError(message)
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _size(value: object) -> object:
    """Read a text as bytes."""
    return bytes_of(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Read `a, b` as a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _lifetime(value: object) -> object:
    """Read `3600` as seconds; leave a word as it is.

    Raises:
        ValueError: it is no lifetime.
    """
    read = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value) else value
    is_word = isinstance(read, str) and read in LIFETIMES
    if is_word or (type(read) is int and 1 <= read <= LONGEST_LIFE):
        return read
    raise ValueError(LIFE_FORM)


_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_NAMES = rf"{_NAME}(\.{_NAME})*\.?"
_IN_BRACKETS = r"\[[0-9A-Fa-f:.]+\]"
_PORT = r"(:[0-9]{1,5})?"
_HOST = re.compile(rf"\*|(\*\.)?{_NAMES}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_ALLOWED = re.compile(rf"(\*|(\*\.)?{_NAMES}|{_IN_BRACKETS}){_PORT}")
_ORIGIN = re.compile(rf"\*|[A-Za-z][A-Za-z0-9+.-]*://({_NAMES}|{_IN_BRACKETS}){_PORT}")
_DATABASE = re.compile(r"sqlite:///.+|postgresql(\+psycopg)?://.*")


def _each(is_good: Callable[[str], object], form: str) -> AfterValidator:
    """Return what refuses a list one of whose parts is not good."""

    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not is_good(value):
                message = f"{ascii(value)[:80]} is not of the form: {form}"
                raise ValueError(message)
        return values

    return AfterValidator(check)


def _is_network(text: str) -> bool:
    """Return whether a text is an address or a network."""
    try:
        ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return False
    return True


def _is_allowed_host(text: str) -> bool:
    """Return whether a text names what strangers' URLs may reach."""
    host, _, port = text.rpartition(":")
    return bool(
        _ALLOWED.fullmatch(text) or _is_network(text) or (port.isdecimal() and _is_network(host))
    )


def _web_address(url: str | None) -> str | None:
    """Return an address of the web without its last slash."""
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        message = "give an http or https address, such as https://files.example.org"
        raise ValueError(message)
    return url.rstrip("/")


def _database(url: str | None) -> str | None:
    """Refuse an address of a database of another kind; it may hold a password, and is not shown."""
    if url is not None and not _DATABASE.fullmatch(url):
        message = "give sqlite:///path or postgresql+psycopg://user@host/name"
        raise ValueError(message)
    return url


def unread_names(text: str, prefix: str, read: Container[str]) -> dict[int, str]:
    """Return the lines of a `.env` text that begin with a name of ours and set nothing.

    A reader of `.env` skips a line that it cannot read: with a colon or a space for the `=`, or
    with an open quote. A server would start without its keys.

    Args:
        text: all of it.
        prefix: of our names.
        read: the names to which a reader found a value.
    """
    begin = re.compile(rf"[\s\ufeff]*(?:(?:export|set)\s+)?['\"]?({prefix}\w*)(.*)", re.IGNORECASE)
    found = {number: begin.match(line) for number, line in enumerate(text.split("\n"), 1)}
    return {
        number: match[1]
        for number, match in found.items()
        if match and (match[1] not in read or "=" not in match[2])
    }


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Networks = Annotated[Listed, _each(_is_network, "an address or a network, such as 10.0.0.0/8")]
AllowedHosts = Annotated[
    Listed,
    _each(_is_allowed_host, "name, *.name, an address or a network, with an optional :port"),
]
HostNames = Annotated[Listed, _each(_HOST.fullmatch, "name, *.name or *, without scheme and port")]
Origins = Annotated[Listed, _each(_ORIGIN.fullmatch, "https://name, with an optional :port, or *")]
WebAddress = Annotated[str | None, AfterValidator(_web_address)]
DatabaseUrl = Annotated[str | None, AfterValidator(_database)]
Life = Annotated[
    int | Literal["never", "immediate", "1h", "1d", "7d", "30d", "1y"], BeforeValidator(_lifetime)
]
