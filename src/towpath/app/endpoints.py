"""@endpoint, and the spec that it leaves on a method."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from towpath.errors import AppDefinitionError
from towpath.errors.redaction import shown

__all__ = [
    "RESERVED_PATHS",
    "EndpointSpec",
    "HealthCheck",
    "check_method",
    "endpoint",
    "line_of",
    "spec_of",
]

F = TypeVar("F", bound=Callable[..., Any])  # Any: the author's own signature
_MARK = "__towpath_endpoint__"
RESERVED_PATHS = frozenset({"/health", "/openapi.json"})
"""What every runner answers itself, beside the app's endpoints."""
_OWN = "/-/"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How an endpoint tells that its runner is well: it answers 2xx, in time.

    Attributes:
        start_period_seconds: after the runner's start, failures count for nothing.
        timeout_seconds: that an answer may take.
        failure_threshold: failures in a row after which the runner is replaced.
        call_regularly: ask all the time; otherwise only after an answer of 500 or more.
    """

    start_period_seconds: float = 30
    timeout_seconds: float = 5
    failure_threshold: int = 3
    call_regularly: bool = True


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What is known of an endpoint.

    Attributes:
        path: below the app's own path; "/" is the app itself.
        is_websocket: whether it is a websocket instead of a POST.
        health_check: how it tells that its runner is well, if it does.
    """

    path: str
    is_websocket: bool = False
    health_check: HealthCheck | None = None


def endpoint(
    path: str, *, is_websocket: bool = False, health_check: HealthCheck | None = None
) -> Callable[[F], F]:
    """Serve a method of an App at *path*, by POST or as a websocket.

    Args:
        path: starts with "/"; "/" is the app itself; a slash at the end means nothing.
        is_websocket: the method is async and takes a `fastapi.WebSocket`.
        health_check: the endpoint tells whether its runner is well: it is called without a body
            beside the requests at work, and a runner that fails too often is replaced. One an app.

    Raises:
        AppDefinitionError: the path cannot be served, or the method is an endpoint already.
    """
    if callable(path):
        name = getattr(path, "__name__", "run")
        message = f"@towpath.endpoint needs a path: write @towpath.endpoint('/') above def {name}."
        raise AppDefinitionError(message)
    if not re.fullmatch(r"/[A-Za-z0-9_.~{}:/-]*", path) or ".." in path or _is_ours(path):
        message = (
            f"Endpoint path {shown(path, 60)!r} cannot be served. Use one such as '/generate'."
        )
        raise AppDefinitionError(message)

    served_at = path.rstrip("/") or "/"

    def mark(function: F) -> F:
        if spec_of(function) is not None:
            message = f"{function.__qualname__} is an endpoint already; give it one path."
            raise AppDefinitionError(message)
        if is_websocket and not inspect.iscoroutinefunction(function):
            message = f"Websocket endpoint {function.__qualname__} has to be an async def."
            raise AppDefinitionError(message)
        setattr(function, _MARK, EndpointSpec(served_at, is_websocket, health_check))
        return function

    return mark


def _is_ours(path: str) -> bool:
    """Return whether every runner answers at *path* itself."""
    return path in RESERVED_PATHS or path.startswith(_OWN)


def spec_of(function: object) -> EndpointSpec | None:
    """Return the spec that `endpoint` left on *function*, if it did."""
    spec = getattr(function, _MARK, None)
    return spec if isinstance(spec, EndpointSpec) else None


def check_method(kind: type, name: str) -> None:
    """Refuse an endpoint that could not be called as a method.

    Raises:
        AppDefinitionError: it has no `self`.
    """
    function = inspect.getattr_static(kind, name, None)
    if not inspect.isfunction(function):
        return  # a static method has no self, a class method has another one
    first = next(iter(inspect.signature(function).parameters.values()), None)
    is_input = first is not None and first.name != "self" and first.annotation is not first.empty
    if first is None or is_input or first.kind is first.KEYWORD_ONLY:
        rest = f", {first.name}" if first is not None else ""
        message = (
            f"{line_of(function)}{kind.__name__}.{name} lacks self: write def {name}(self{rest}…)."
        )
        raise AppDefinitionError(message)


def line_of(function: Callable[..., Any]) -> str:
    """Return `app.py, line 3: `, where a function is defined; '' if that is unknown."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return ""
    return f"{Path(code.co_filename).name}, line {code.co_firstlineno}: "
