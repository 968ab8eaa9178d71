"""Which headers of a caller reach an app. Pure.

The naive way drops the names that the server sets, one by one. Whatever is not on that list arrives
as if the server had said it: who calls, tokens, switches of the next version. Here everything that
begins with `x-fal-` or `x-towpath-` is the server's, and a short list says what callers may send of
it. A name with underscores counts as the one with hyphens, because CGI and WSGI make both the same
variable (RFC 3875 section 4.1.18).
"""

from collections.abc import Iterable
from functools import lru_cache

from towpath.runner.wire import REQUEST_ID_HEADER, forwarded

__all__ = ["passed"]

_OURS = ("x-fal-", "x-towpath-")
_CALLERS = frozenset(
    {"x-fal-request-timeout", "x-fal-request-start-timeout", "x-fal-queue-priority"}
    | {"x-fal-runner-hint", "x-fal-no-retry", "x-fal-retry-config", "x-fal-store-io"}
    | {"x-fal-object-lifecycle-preference", "x-fal-object-lifecycle", "x-fal-file-name"}
)
_DROPPED = frozenset({"authorization", "cookie", REQUEST_ID_HEADER, "x-request-id"})


def passed(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of a caller that go on to an app."""
    return [pair for pair in forwarded(pairs) if _is_passed(pair[0])]


@lru_cache(maxsize=1024)  # callers send the same names all the time
def _is_passed(name: str) -> bool:
    """Return whether a header of that name goes on."""
    if name in _CALLERS:
        return True
    plain = name.lower().replace("_", "-")
    return plain not in _DROPPED and not plain.startswith(_OURS)
