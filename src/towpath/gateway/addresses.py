"""A request's path, read once. Pure.

The naive way reads the path where it is needed: the router matches the decoded path, the guard
looks for `/health` at its end, the runner's target is cut out of the raw path, metrics take what
the target says. Each of them reads `%2F`, `%2d`, `//` and `;` in its own way, and every difference
is a hole: the guard takes a path for one place and the router for another, or an app name exists
only in the metrics.

Here one function reads the raw path before anything else is done, and every part uses its record.
The words that choose (service, owner, app, `requests`, the id) are compared after unreserved
characters were decoded, once (RFC 3986 section 6.2.2.2): `%6c` is `l`, and `%2F` is never a slash
(section 2.2). The endpoint's part of the path goes to the app as it was sent. The runner decodes it
once more, so this module judges what the runner will read: no endpoint has a path with dot
segments, which programs on the way resolve in different ways (section 6.2.2.3), or one of the
runner's own paths.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote, unquote, urlsplit

from towpath.runner.wire import OWN_PATHS

__all__ = ["OWN_WORDS", "Address", "Ask", "Service", "needs_no_key", "prefix_of", "read_address"]

Service = Literal["call", "queue", "files", "upload", "admin", "own"]
"""A call of an app; a request in the queue; a public file; an upload; the operator's routes; all
other routes of the server: health, metrics, the Playground, and every path that does not exist."""
Ask = Literal["result", "status", "stream", "cancel"]
"""What a caller wants of a queued request."""

OWN_WORDS: Final = frozenset(
    {"admin", "apps", "comfy", "files", "health", "kv", "metrics", "playground", "queue"}
    | {"ready", "storage", "tokens", "v1", "workflows", "ws"}
)
"""First words of paths that no owner of apps may have."""
_PUBLIC = ("/health", "/ready", "/playground")
_READS = ("GET", "HEAD")
_ASKS: dict[tuple[str, ...], Ask] = {
    (): "result",
    ("status",): "status",
    ("status", "stream"): "stream",
    ("cancel",): "cancel",
}
_UNRESERVED = re.compile("%(2[DE]|3[0-9]|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
_SHORT = 256  # longer paths are not remembered: strangers choose them
_DOTS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class Address:
    """What a path means.

    Attributes:
        service: who answers.
        path: as routes, guards and logs have it: its words plain, an endpoint as it was sent.
        owner, app: of a call or of a request in the queue.
        endpoint: the path below the app, as it was sent, without a slash at its end.
        request_id: of a request in the queue; '' if the path names none.
        ask: what is asked of that request.
        is_closed: whether the endpoint's path is one that no app can have: with dot segments, or
            one of the runner's own.
    """

    service: Service
    path: str
    owner: str = ""
    app: str = ""
    endpoint: str = "/"
    request_id: str = ""
    ask: Ask = "result"
    is_closed: bool = False


def prefix_of(url: str, owner: str) -> str:
    """Return the path of our public URL, which a proxy may have left in front of every path.

    One that begins with the owner, or with a word of our own, could be that of a call: it is never
    taken away.
    """
    prefix = _plain(quote(unquote(urlsplit(url).path), safe="/")).rstrip("/")
    first = prefix[1:].partition("/")[0]
    return "" if first == owner or first in OWN_WORDS else prefix


def read_address(raw: str, *, host: str = "", prefix: str = "") -> Address:
    """Return what a path means.

    Args:
        raw: the path as it was sent, without its query.
        host: the Host header; at a host named `queue.…` every path is below `/queue`, because
            clients have one host for each service.
        prefix: as `prefix_of` has it.
    """
    below = "queue" if host[:6].lower() == "queue." else ""
    read = _remembered if len(raw) <= _SHORT else _read
    return read(raw, below, prefix)


def _read(raw: str, below: str, prefix: str) -> Address:
    """Return what a path means that is *below* a word which the host stands for."""
    raw = _without(prefix, raw)
    _, *words = raw.split("/", 2)
    first = _plain(words[0]) if words and raw.startswith("/") else ""
    if below and first != below:
        return _queued(f"/{below}", raw)
    if first == "queue":
        return _queued("/queue", raw[1 + len(words[0]) :])
    if first in OWN_WORDS or not first or len(words) < 2:  # noqa: PLR2004 - owner and app
        return _own(raw, first)
    return _of_app("call", "", raw)


_remembered = lru_cache(maxsize=1024)(_read)  # callers ask for the same paths all the time


def needs_no_key(address: Address, method: str, headers: Collection[bytes]) -> bool:
    """Return whether everybody may ask for this, whatever the keys are.

    Args:
        address: as `read_address` gives it.
        method: of HTTP; '' for a websocket.
        headers: the names of the request's headers. A health check has no body: one that comes with
            it would be waited for.
    """
    if address.service == "own":
        path = address.path
        return path == "/" or any(path == p or path.startswith(f"{p}/") for p in _PUBLIC)
    if address.service != "call" or address.endpoint != "/health" or method not in _READS:
        return False
    return b"content-length" not in headers and b"transfer-encoding" not in headers


def _plain(text: str) -> str:
    """Return *text* with unreserved characters decoded, once."""
    if "%" not in text:
        return text
    return _UNRESERVED.sub(lambda found: chr(int(found[1], 16)), text)


def _without(prefix: str, raw: str) -> str:
    """Return a path without the *prefix*, if it has it."""
    depth = prefix.count("/")
    if not depth:
        return raw
    parts = raw.split("/", depth + 1)
    has_it = len(parts) == depth + 2 and _plain("/".join(parts[:-1])) == prefix
    return f"/{parts[-1]}" if has_it else raw


def _own(raw: str, first: str) -> Address:
    """Return the address of a path that is no app's."""
    path = _plain(raw)
    if first == "files" and path != "/files":
        return Address("upload" if path == "/files/upload" else "files", path)
    return Address("admin" if path.startswith("/admin/") else "own", path)


def _queued(before: str, raw: str) -> Address:
    """Return the address of a path below `/queue`."""
    address = _of_app("queue", before, raw)
    if address.service != "queue":
        return address
    words = _plain(address.endpoint)[1:].split("/")
    ask = _ASKS.get(tuple(words[2:]))
    if words[0] != "requests" or ask is None or len(words) < 2 or not words[1]:  # noqa: PLR2004
        return address
    return replace(address, request_id=words[1], ask=ask)


def _of_app(service: Service, before: str, raw: str) -> Address:
    """Return the address of `/owner/app/…`; without both of them it is that of no app."""
    nothing, owner, app, rest = (*raw.split("/", 3), "", "", "")[:4]
    if nothing or not owner or not app:
        return Address("own", _plain(before + raw))
    owner, app, endpoint = _plain(owner), _plain(app), f"/{rest.rstrip('/')}"
    path = f"{before}/{owner}/{app}{endpoint}".rstrip("/")
    return Address(service, path, owner, app, endpoint, is_closed=_is_closed(endpoint))


def _is_closed(endpoint: str) -> bool:
    """Return whether no app can have an endpoint at this path, as the runner will read it."""
    seen = unquote(endpoint) if "%" in endpoint else endpoint
    if "/." in seen and not _DOTS.isdisjoint(seen.split("/")):
        return True
    if "/-" not in seen:
        return False
    return re.sub("/+", "/", f"{seen}/").startswith(OWN_PATHS)
