"""What a message or a log line may show of a value: short, printable, without secrets."""

from urllib.parse import urlsplit

__all__ = ["shown", "shown_url"]

_LONGEST = 200
_LONGEST_TYPE = 60
_MOST_READ = 4096  # characters of a URL: reading copies them


def shown(value: str, longest: int = _LONGEST) -> str:
    """Cut *value* for a message and replace its control characters."""
    clean = value[:longest]
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in clean)
    return clean if len(value) <= longest else f"{clean}…"


def shown_url(url: str) -> str:
    """Return *url* as a message may show it: no query, no user info, no inline data."""
    if url[:5].lower() == "data:":
        comma = url.find(",", 5, _LONGEST_TYPE)  # what is sliced here is copied
        return f"{shown(url[: comma + 1] or 'data:')}… ({len(url)} characters)"
    start = url[:_MOST_READ]
    try:
        parts = urlsplit(start)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return shown(start.partition("?")[0], 60)
    if not parts.scheme:
        return shown(start.partition("?")[0])
    if len(start) < len(url) and start.endswith(parts.netloc):
        host = ""  # cut within: what is here may be a password
    return shown(f"{parts.scheme}://{host}{parts.path}")
