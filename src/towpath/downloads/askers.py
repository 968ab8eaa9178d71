"""Who asks: what of a request, beside its URL, chooses the answer. Pure.

The naive way keeps one file for each URL. It fails where the answer is chosen by a header: the file
that Alice's `Authorization` opened was given to Bob, who asked a moment later, or whose answer had
the same length. A shared cache may use an answer again only for a request with the same fields
(RFC 9111 sections 3.5 and 4.1), and which fields matter is known only after the answer. So all
request headers are a part of a download's key: each asker has facts, validators, parts and a file
of his own.

Keys are names of files that others may read, and a header may be a short password, so headers go
through a slow hash that is salted with the URL.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

from towpath.media.data_uri import is_data_uri

__all__ = ["asker_of"]

_ROUNDS = 20_000  # some 8 ms
_TRACING = frozenset(
    {"traceparent", "tracestate", "baggage", "x-request-id", "x-correlation-id"}
    | {"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "b3"}
    | {"x-amzn-trace-id", "x-cloud-trace-context"}
)
"""Headers that only say which request it is: another value has the same answer."""


def asker_of(url: str, headers: Mapping[str, str] | None) -> str:
    """Return what tells askers of *url* with other *headers* apart; '' for those without any."""
    if not headers or is_data_uri(url):
        return ""
    telling = {name.lower(): value for name, value in headers.items()}
    kept = sorted((name, value) for name, value in telling.items() if name not in _TRACING)
    return _slow_hash(url, json.dumps(kept)) if kept else ""


@lru_cache(maxsize=64)
def _slow_hash(url: str, text: str) -> str:
    """Return 64 hex digits that take a while to guess *text* from."""
    salt = url.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt, _ROUNDS).hex()
