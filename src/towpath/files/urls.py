"""Which texts are URLs of files."""

import re
from urllib.parse import urlsplit

__all__ = ["checked_url"]

_PLAIN_HOST = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(:[0-9]+)?/")  # of most URLs
_MOST_READ = 4096  # characters: reading copies them
_SCHEMES = frozenset({"http", "https", "data"})


def checked_url(url: str) -> str:
    """Return *url* if it is an http, https or data: URL.

    Raises:
        ValueError: it is not.
    """
    scheme = url[:5].partition(":")[0].lower()
    if scheme not in _SCHEMES or (scheme != "data" and not _has_host(url)):
        message = "value must be a valid URL: start it with https://, http:// or data:"
        raise ValueError(message)
    return url


def _has_host(url: str) -> bool:
    """Return whether an http URL names a host."""
    if _PLAIN_HOST.match(url):
        return True
    try:
        return bool(urlsplit(url[:_MOST_READ]).hostname)
    except ValueError:
        return False
