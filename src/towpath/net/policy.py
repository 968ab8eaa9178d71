"""Which scheme, host and address a stranger's URL may reach. Pure: it judges, it does not dial.

The table is our own (IANA's special-purpose registries, RFC 6890, and the platform addresses of
clouds), because what `ipaddress.is_global` says changes with Python's patch level.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urlsplit

from towpath.errors import BlockedAddressError, InvalidURLError
from towpath.errors.redaction import shown

__all__ = ["AddressPolicy", "Target", "is_public", "parse_target"]

Address = IPv4Address | IPv6Address

_SPECIAL_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's platform address
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_ISATAP = re.compile(r"^(?:0000|0200):5efe:")
_LONGEST_HOST = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_public(address: Address) -> bool:
    """Return whether *address*, and every address wrapped in it, is a public one."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _SPECIAL_V4)
    inner = _unwrapped(address)
    if inner is not None:
        return is_public(inner)
    if address not in _GLOBAL_V6 or any(address in block for block in _SPECIAL_V6):
        return False
    isatap = _ISATAP.match(address.exploded[20:])
    return not isatap or is_public(IPv4Address(int(address) & 0xFFFFFFFF))


def _unwrapped(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address inside a mapped, NAT64 or 6to4 address."""
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads, as far as its text says.

    Attributes:
        url: the URL, without fragment, ready for a request line.
        scheme: http or https.
        host: the host in lower case, without brackets or a trailing dot.
        port: the port, with the scheme's default filled in.
        path: path and query, as the request line has them.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return scheme, host and port."""
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """Return the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Read *url* strictly.

    Raises:
        InvalidURLError: another scheme, no host, user info, control characters, a broken port.
    """
    text = url.strip(" \t\r\n")
    if not text.isprintable() or " " in text or "\\" in text:
        reason = "the URL has spaces, backslashes or control characters in it; percent-encode them"
        raise InvalidURLError(url, reason)
    parts = _split(url, text)
    if parts.scheme not in _DEFAULT_PORTS:
        named = shown(parts.scheme, 20) or "none"
        raise InvalidURLError(url, f"its scheme is {named!r}; use http, https or data")
    host = _host(url, parts)
    port = parts.port if parts.port is not None else _DEFAULT_PORTS[parts.scheme]
    path = _ascii(parts.path) or "/"
    query = f"?{_ascii(parts.query)}" if parts.query else ""
    target = Target("", parts.scheme, host, port, path + query)
    whole = f"{parts.scheme}://{target.authority}{target.path}"
    return Target(whole, target.scheme, host, port, target.path)


def _split(url: str, text: str) -> SplitResult:
    """Split *text*, with a broken port or bracket as our error."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise InvalidURLError(url, "its host or port cannot be read") from None
    if parts.port == 0:
        raise InvalidURLError(url, "port 0 cannot be called")
    return parts


def _host(url: str, parts: SplitResult) -> str:
    """Return the host as ASCII."""
    if "@" in parts.netloc:
        reason = "user names and passwords in URLs are not used. Leave them out."
        raise InvalidURLError(url, reason, advice="Pass request_headers to sign in.")
    host = (parts.hostname or "").removesuffix(".")
    if len(host) > _LONGEST_HOST:  # before it is encoded, which takes the square of its length
        raise InvalidURLError(url, f"its host has more than {_LONGEST_HOST} characters")
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise InvalidURLError(url, "its host is not a valid name") from None
    if not ascii_host or len(ascii_host) > _LONGEST_HOST or re.search(r"%|\.\.", ascii_host):
        raise InvalidURLError(url, "it has no usable host")
    if not re.fullmatch(r"[a-z0-9._:-]+", ascii_host, re.IGNORECASE):
        raise InvalidURLError(url, "its host has characters that names do not have")
    return ascii_host.lower()


def _ascii(text: str) -> str:
    """Percent-encode what is not ASCII."""
    return "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


@dataclass(frozen=True, slots=True)
class _Allowed:
    """One entry of the allow list."""

    name: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    def covers(self, target: Target, address: Address) -> bool:
        """Return whether this entry lets *target* at *address* pass."""
        if self.port is not None and self.port != target.port:
            return False
        if self.network is not None:
            plain = _unwrapped(address) if isinstance(address, IPv6Address) else None
            return address in self.network or (plain is not None and plain in self.network)
        if self.name.startswith("*."):
            return target.host.endswith(self.name[1:])
        return target.host == self.name


@lru_cache(maxsize=256)
def _allowed(entry: str) -> _Allowed:
    """Read `name`, `*.name`, an address or a network, with an optional `:port`."""
    text = entry.strip().lower()
    match = re.fullmatch(r"\[([0-9a-f:.]+)\](?::([0-9]{1,5}))?", text)
    if match is None and text.count(":") <= 1:
        match = re.fullmatch(r"([^:]+)(?::([0-9]{1,5}))?", text)
    host, port = (match[1], match[2]) if match else (text, None)
    try:
        network = ip_network(host, strict=False)
    except ValueError:
        network = None
    return _Allowed(host, network, int(port) if port else None)


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses, and what the operator allows beside them."""

    allow_hosts: tuple[str, ...] = ()

    def judge(self, target: Target, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return *addresses* if every one of them may be dialled for *target*.

        Raises:
            BlockedAddressError: one may not.
        """
        entries = [_allowed(entry) for entry in self.allow_hosts]
        judged = tuple(addresses)
        for text in judged:
            address = ip_address(text.partition("%")[0])
            if not is_public(address) and not any(e.covers(target, address) for e in entries):
                reason = "its host has an address that is not public. Upload the file instead."
                raise BlockedAddressError(target.url, reason, host=target.host, address=text)
        return judged
