"""What a message or a log line may show of a value: short, printable, without secrets."""

from urllib.parse import urlsplit

__all__ = ["shown", "shown_url"]

_LONGEST = 200
_LONGEST_TYPE = 60


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
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return shown(url.partition("?")[0], 60)
    if not parts.scheme:
        return shown(url.partition("?")[0])
    return shown(f"{parts.scheme}://{host}{parts.path}")
