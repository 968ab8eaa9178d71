"""A proxy that the author gave: the only way one is used."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from towpath.errors import InvalidURLError
from towpath.net.policy import Target

__all__ = ["Proxy", "parse_proxy"]

_TEXT = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens, and what it wants to see.

    Attributes:
        host: its name or address.
        port: its port.
        credentials: the value of Proxy-Authorization, or ''.
    """

    host: str
    port: int
    credentials: str = ""

    def connect_request(self, target: Target) -> bytes:
        """Return the request for a tunnel to *target* (RFC 9110 section 9.3.6)."""
        host = f"[{target.host}]" if ":" in target.host else target.host
        place = f"{host}:{target.port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}", *self.header_lines()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def header_lines(self) -> list[str]:
        """Return the lines that the proxy is given beside each request."""
        return [f"proxy-authorization: {self.credentials}"] if self.credentials else []


def parse_proxy(url: str) -> Proxy:
    """Read `http://[user:password@]host:port`.

    Raises:
        InvalidURLError: it is another scheme, or has no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        raise InvalidURLError("proxy", "its host or port cannot be read") from None
    if parts.scheme != "http" or not parts.hostname or not _TEXT.fullmatch(url):
        reason = "give proxy=http://host:port; a proxy is spoken to over http, targets over TLS"
        raise InvalidURLError("proxy", reason)
    credentials = ""
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(parts.hostname, port, credentials)
