"""Whether an app answers at a path: what its runner would say, known without one.

A direct call asks the runner, which answers 404 at an unknown path. A queued request meets its
runner later: a mistyped path would get a place in the queue, and an id whose result is that 404.
"""

import re
from functools import lru_cache
from urllib.parse import unquote

from starlette.routing import compile_path

from towpath.app.endpoints import RESERVED_PATHS
from towpath.errors import UnknownEndpointError
from towpath.runner.wire import AppSpec

__all__ = ["check_endpoint"]


def check_endpoint(spec: AppSpec, path: str) -> None:
    """Refuse a path at which the app's runner has nothing, by any method.

    Args:
        spec: of the app.
        path: of the endpoint, as it was sent: runners decode it once.

    Raises:
        UnknownEndpointError: it has nothing there.
    """
    if path in spec.endpoints:  # nearly always
        return
    seen = unquote(path)
    if seen not in RESERVED_PATHS and not any(_pattern(p).match(seen) for p in spec.endpoints):
        raise UnknownEndpointError(seen, spec.endpoints)


@lru_cache(maxsize=1024)
def _pattern(endpoint: str) -> re.Pattern[str]:
    """Return what the runner's router compares paths with: an endpoint may have parameters."""
    return compile_path(endpoint)[0]
