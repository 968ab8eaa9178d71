"""By which names a server without keys may be called. Pure.

A page of another site cannot read what this server answers, because its origin is another one. But
whoever owns the page's name can make it mean this machine a moment later (DNS rebinding): then the
browser takes the page and the server for one site. Such a request has the page's name as its Host.
Where keys protect the server that gains nothing; without keys the server answers only to names that
no stranger can own: addresses, loopback names, and those of its own URLs.
"""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from towpath.errors import ForbiddenError
from towpath.errors.redaction import shown
from towpath.settings import Settings

__all__ = ["host_judge", "is_loopback_name", "name_in"]

_SERVICES = ("", "queue.", "rest.")
_REFUSED = "This server does not answer to the name in the Host header."


def host_judge(settings: Settings) -> Callable[[str], ForbiddenError | None]:
    """Return what says why a Host is refused, None for one that is answered to."""
    known = frozenset(
        service + name.lower()
        for url in (settings.origin, settings.files_origin)
        if (name := urlsplit(url).hostname)
        for service in _SERVICES
    )
    named = frozenset(name.lower().rstrip(".") for name in settings.host_names)
    ends = tuple(name[1:] for name in named if name.startswith("*."))
    known |= named | {settings.host.lower()}

    @lru_cache(maxsize=256)
    def judge(host: str) -> ForbiddenError | None:
        name = name_in(host)
        if not name or "*" in known or name in known or name.endswith(ends):
            return None
        if _is_address(name) or is_loopback_name(name):
            return None
        advice = f"It is {shown(name, 80)!r}. Add it to TOWPATH_HOST_NAMES if it is this server's."
        return ForbiddenError(_REFUSED, advice=advice)

    return (lambda _: None) if settings.keys else judge


def name_in(host: str) -> str:
    """Return the name in a Host field: in lower case, without port, brackets and last dot."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def is_loopback_name(name: str) -> bool:
    """Return whether a name means the machine of whoever says it (RFC 6761 section 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    """Return whether a name is an address, which nobody can make to mean another one."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
