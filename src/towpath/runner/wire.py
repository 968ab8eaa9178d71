"""What gateway and runner agree on: plain HTTP over a unix socket, and these names. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from towpath.app.batching import largest_batch
from towpath.app.definition import App, endpoints_of
from towpath.app.retrying import RetryBudgets, budgets_of
from towpath.context import RequestContext

__all__ = [
    "APP_HEADER",
    "CALLER_HEADER",
    "ENDED_PATH",
    "ENDPOINT_HEADER",
    "FOR_OPERATOR",
    "HOP_BY_HOP",
    "OWN_PATHS",
    "REQUEST_ID_HEADER",
    "STEERING",
    "TRACED_HEADER",
    "AppSpec",
    "HealthRoute",
    "context_of",
    "forwarded",
    "patience_in",
    "slots_of",
]

FOR_OPERATOR = "OP:"
"""Begins the level of a line that callers do not read in their request's log."""
REQUEST_ID_HEADER = "x-fal-request-id"
ENDPOINT_HEADER = "x-fal-endpoint"
APP_HEADER = "x-towpath-app"
CALLER_HEADER = "x-fal-caller-user-id"
"""Who calls: the id of the key; absent on a server without keys."""
TRACED_HEADER = "x-towpath-traced"
"""Asks a runner to say when the request is over, after all that it wrote."""
OWN_PATHS = "/-/"
ENDED_PATH = "/-/requests/"
"""Below it, by id: answers once the request is over; for the engine, never for callers."""
STEERING = frozenset(
    {"x-fal-stop-runner", "x-fal-runner-health-check", "x-fal-needs-retry", "x-fal-no-retry"}
)
"""Headers of an app's answer that steer the server; no caller sees them."""
_START_TIMEOUTS = ("x-fal-request-start-timeout", "x-fal-request-timeout")
_LIFECYCLE = ("x-fal-object-lifecycle-preference", "x-fal-object-lifecycle")

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect"}
)


@dataclass(frozen=True, slots=True)
class HealthRoute:
    """Where and how a runner is asked whether it is well.

    Attributes:
        path: of the endpoint that answers it.
        start_period: seconds after its start in which failures count for nothing.
        timeout: seconds that an answer may take.
        threshold: failures in a row after which it is replaced.
        regularly: whether it is asked all the time, or only after an answer of 500 or more.
    """

    path: str
    start_period: float
    timeout: float
    threshold: int
    regularly: bool

    @classmethod
    def of(cls, kind: type[App]) -> "HealthRoute | None":
        """Return the health check that an App class declares."""
        for endpoint in endpoints_of(kind):
            check = endpoint.spec.health_check
            if check is not None:
                return cls(
                    endpoint.spec.path,
                    check.start_period_seconds,
                    check.timeout_seconds,
                    check.failure_threshold,
                    check.call_regularly,
                )
        return None


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
        requirements: packages that it needs besides ours.
        min_runners, max_runners: how many there may be; max_runners is None where it was not said.
        slots: requests that one runner works on at once.
        max_websockets: that one runner has open at once, besides.
        websocket_idle_timeout: seconds without a message after which a websocket is closed.
        stall_timeout: seconds that a caller has to take a piece of an answer on its way.
        buffer: runners that are idle above what is needed.
        scaling_delay: seconds that a request waits before another runner is started for it.
        keep_alive: seconds that a runner stays idle before it is stopped.
        request_timeout: seconds that a request may take.
        request_start_timeout: seconds that a request may wait for its turn.
        health: how runners are asked whether they are well; None asks only idle ones.
        budgets: how often a queued request is tried again.
        titles: what people call each of the endpoints, in their order.
        example: `input` and `output` that the author gave as an example, or None.
        document: its OpenAPI document.
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
    requirements: tuple[str, ...] = ()
    min_runners: int = 0
    max_runners: int | None = None
    slots: int = 1
    max_websockets: int = 64
    websocket_idle_timeout: float | None = 300
    stall_timeout: float | None = 10
    buffer: int = 0
    scaling_delay: float = 0
    keep_alive: float = 60
    request_timeout: float | None = None
    request_start_timeout: float | None = None
    health: HealthRoute | None = None
    budgets: RetryBudgets = field(default_factory=RetryBudgets)
    titles: tuple[str, ...] = ()
    example: Mapping[str, Any] | None = None  # Any: JSON
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

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
            requirements=tuple(kind.requirements),
            min_runners=kind.min_concurrency,
            max_runners=kind.max_concurrency,
            slots=slots_of(kind),
            max_websockets=kind.max_websockets,
            websocket_idle_timeout=kind.websocket_idle_timeout,
            stall_timeout=kind.stall_timeout,
            buffer=kind.concurrency_buffer,
            scaling_delay=kind.scaling_delay,
            keep_alive=kind.keep_alive,
            request_timeout=kind.request_timeout,
            request_start_timeout=kind.request_start_timeout,
            health=HealthRoute.of(kind),
            budgets=budgets_of(kind.retry_config, kind.skip_retry_conditions),
        )

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the spec for the pipe between two processes."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "AppSpec":  # Any: JSON
        """Read a spec."""
        named = ("machine_type", "endpoints", "requirements", "titles")
        lists = {name: tuple(content[name]) for name in named}
        health = HealthRoute(**content["health"]) if content["health"] else None
        budgets = RetryBudgets(**content["budgets"])
        return cls(**{**content, **lists, "health": health, "budgets": budgets})


def slots_of(kind: type[App]) -> int:
    """Return how many requests one runner works on at once: as many as its largest batch holds."""
    return max(1, kind.max_multiplexing, largest_batch(kind))


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
    named, kept = set[str](), list[tuple[str, str]]()
    for name, value in headers:
        low = name.lower()
        if low == "connection":
            named.update(token.strip().lower() for token in value.split(","))
        elif low not in HOP_BY_HOP:
            kept.append((name, value))
    return [(n, v) for n, v in kept if n.lower() not in named] if named else kept
