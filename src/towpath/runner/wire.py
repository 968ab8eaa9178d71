"""What gateway and runner agree on: plain HTTP over a unix socket, and these names. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from towpath.app.definition import App
from towpath.context import RequestContext

__all__ = [
    "APP_HEADER",
    "ENDPOINT_HEADER",
    "HOP_BY_HOP",
    "REQUEST_ID_HEADER",
    "AppSpec",
    "context_of",
    "forwarded",
    "patience_in",
]

REQUEST_ID_HEADER = "x-fal-request-id"
ENDPOINT_HEADER = "x-fal-endpoint"
APP_HEADER = "x-towpath-app"
_START_TIMEOUTS = ("x-fal-request-start-timeout", "x-fal-request-timeout")
_LIFECYCLE = ("x-fal-object-lifecycle-preference", "x-fal-object-lifecycle")

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect"}
)


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What the server knows of an app without loading its code.

    Attributes:
        reference: where the class is, as `file.py::Class`.
        name: its part of the URL.
        title: shown to people.
        description: the class docstring.
        machine_type: what it would like to run on.
        num_gpus: how many GPUs it would like.
        startup_timeout: seconds that its setup may take.
        grace: seconds to finish in after a request to stop.
        endpoints: its paths.
    """

    reference: str
    name: str
    title: str | None
    description: str
    machine_type: tuple[str, ...]
    num_gpus: int | None
    startup_timeout: float
    grace: float
    endpoints: tuple[str, ...]

    @classmethod
    def of(cls, kind: type[App], reference: str, endpoints: Iterable[str]) -> "AppSpec":
        """Describe an App class."""
        types = kind.machine_type
        description = (kind.__doc__ or "").strip() if kind.__doc__ != App.__doc__ else ""
        return cls(
            reference=reference,
            name=kind.name,
            title=kind.title,
            description=description,
            machine_type=(types,) if isinstance(types, str) else tuple(types),
            num_gpus=kind.num_gpus,
            startup_timeout=kind.startup_timeout,
            grace=kind.termination_grace_period_seconds,
            endpoints=tuple(endpoints),
        )

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the spec for the pipe between two processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "AppSpec":  # Any: JSON
        """Read a spec."""
        lists = {key: tuple(content[key]) for key in ("machine_type", "endpoints")}
        return cls(**{**content, **lists})


def patience_in(headers: Mapping[str, str]) -> float | None:
    """Return how long the caller waits for its turn, if its headers say so."""
    for name in _START_TIMEOUTS:
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        if 0 < seconds < float("inf"):
            return seconds
    return None


def context_of(headers: Sequence[tuple[bytes, bytes]], path: str) -> RequestContext:
    """Return the request's context by its headers."""
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    app = named.get(APP_HEADER, "")
    return RequestContext(
        request_id=named.get(REQUEST_ID_HEADER, ""),
        endpoint=named.get(ENDPOINT_HEADER, f"{app}{path}".rstrip("/")),
        app=app,
        lifecycle_preference=next((named[key] for key in _LIFECYCLE if key in named), None),
        headers=MappingProxyType(named),
    )


def forwarded(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that go on to the other side."""
    pairs = list(headers)
    named = {
        token.strip().lower()
        for name, value in pairs
        if name.lower() == "connection"
        for token in value.split(",")
    }
    return [(n, v) for n, v in pairs if n.lower() not in HOP_BY_HOP and n.lower() not in named]
