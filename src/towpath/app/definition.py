"""App: the class that an author writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from towpath.app.endpoints import EndpointSpec, check_method, line_of, spec_of
from towpath.app.naming import checked_name, kebab
from towpath.app.options import check_keyword, check_names, check_values, options_of
from towpath.app.retrying import budgets_of
from towpath.context import Lifetime, RequestContext, current_request
from towpath.errors import AppDefinitionError

__all__ = ["App", "BoundEndpoint", "endpoints_of", "has_endpoints"]


class App:
    """A model behind HTTP.

    Subclass it, load what takes long in `setup`, and mark methods with `@towpath.endpoint`.
    Class keywords are the same as attributes: `class X(App, name="x")`. One object serves all
    requests of a runner; `__init__` is not for overriding.
    """

    name: ClassVar[str] = ""
    """Part of the URL; the class name in kebab-case by default."""
    title: ClassVar[str | None] = None
    """Shown to people; the description is the class docstring."""
    machine_type: ClassVar[str | Sequence[str]] = "S"
    """What the app would like to run on, or several, the best first. A machine that lacks all of
    them gives one warning, and refuses only with `--strict-machine`."""
    num_gpus: ClassVar[int | None] = None
    """GPUs of one runner; 1 when the machine type is one with GPUs."""
    requirements: ClassVar[Sequence[str]] = ()
    """Packages, as for pip, that the app has besides ours, in an environment of its own. Written
    down as a list of texts: it is read before the code is run."""
    min_concurrency: ClassVar[int] = 0
    """Runners that are kept, also when nobody calls; `towpath run` keeps one at least."""
    max_concurrency: ClassVar[int | None] = None
    """Runners that there may be; None is 1 on one machine."""
    max_multiplexing: ClassVar[int] = 1
    """Requests that one runner works on at once; others wait their turn."""
    max_websockets: ClassVar[int] = 64
    """Websockets that one runner has open at once, besides the requests that it works on; more
    are refused. Opening one waits for its turn like a request."""
    websocket_idle_timeout: ClassVar[float | None] = 300
    """Seconds without a message either way, after which a websocket is closed; None is never."""
    stall_timeout: ClassVar[float | None] = 10
    """Seconds that a caller has to take a piece of an answer that is on its way, such as a stream
    of events, before the call is ended; None is 60, the limit of every connection."""
    concurrency_buffer: ClassVar[int] = 0
    """Runners that are kept idle above what the requests need."""
    scaling_delay: ClassVar[float] = 0
    """Seconds that a request waits for a free runner before another one is started."""
    keep_alive: ClassVar[float] = 60
    """Seconds that a runner stays when it has nothing to do and is not one of the least."""
    startup_timeout: ClassVar[float] = 600
    """Seconds that `setup` may take."""
    termination_grace_period_seconds: ClassVar[float] = 5
    """Seconds to finish in after a request to stop."""
    request_timeout: ClassVar[float | None] = None
    """Seconds that a request may take; the runner is replaced when one takes longer."""
    request_start_timeout: ClassVar[float | None] = None
    """Seconds that a request may wait for its turn."""
    retry_config: ClassVar[Mapping[str, Mapping[str, int]] | None] = None
    """Tries after the first one of a queued request, by what went wrong, as
    `{"timeout": {"retries": 2}}`. What is left out keeps its default: server_error 9, timeout 0,
    connection_error 1."""
    skip_retry_conditions: ClassVar[Sequence[str]] = ()
    """What is never tried again: `server_error`, `timeout`, `connection_error`."""
    media_expires_in: ClassVar[Lifetime | None] = None
    """How long files made here live, unless a call or a request says otherwise."""

    @override
    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__()
        known = options_of(App)
        for key, value in keywords.items():
            check_keyword(cls.__name__, key, known)
            setattr(cls, key, value)
        check_names(cls.__name__, _own(cls), known)
        check_values(cls.__name__, App, vars(cls))
        if "name" not in cls.__dict__:
            cls.name = kebab(cls.__name__)
        if not isinstance(cls.name, str):
            message = f"{cls.__name__}.name has to be a text, part of the URL; rename the method."
            raise AppDefinitionError(message)
        checked_name(cls.name)
        budgets_of(cls.retry_config, cls.skip_retry_conditions)
        if cls.__init__ is not object.__init__:
            message = f"{cls.__name__} defines __init__; put what it does into setup()."
            raise AppDefinitionError(message)

    def setup(self) -> Any:  # noqa: ANN401 - sync or async
        """Load what takes long; called once before the first request. May be async."""

    def teardown(self) -> Any:  # noqa: ANN401 - sync or async
        """Let go of what `setup` took; called after the last request. May be async."""

    def handle_exit(self) -> None:
        """Hear that the runner is asked to stop, before the requests at work are waited for."""

    def health(self) -> Any:  # noqa: ANN401 - JSON, sync or async
        """Return what `GET …/health` answers."""
        return {"status": "ok"}

    def provide_hints(self) -> list[str]:
        """Return what this runner has warm, for callers that ask for it by a runner hint."""
        return []

    @property
    def current_request(self) -> RequestContext | None:
        """Return the request that this code works for, or None outside of one."""
        return current_request()


def _own(kind: type[App]) -> dict[str, object]:
    """Return what the author wrote into a class, less its endpoints."""
    return {name: value for name, value in vars(kind).items() if spec_of(value) is None}


@dataclass(frozen=True, slots=True)
class BoundEndpoint:
    """An endpoint of a live app object."""

    name: str
    spec: EndpointSpec
    call: Callable[..., Any]  # Any: the author's own signature


def has_endpoints(kind: type[App]) -> bool:
    """Return whether an App class has a method that is marked as an endpoint."""
    names = (name for name in dir(kind) if not name.startswith("__"))
    return any(spec_of(getattr(kind, name, None)) is not None for name in names)


def endpoints_of(app: App | type[App]) -> list[BoundEndpoint]:
    """Return the endpoints of *app*, sorted by path.

    Raises:
        AppDefinitionError: two have the same path, or there is none.
    """
    found: dict[str, BoundEndpoint] = {}
    for name in dir(app):
        if name.startswith("__") or isinstance(getattr(type(app), name, None), property):
            continue
        spec = spec_of(function := getattr(app, name, None))
        if spec is None or function is None:
            continue
        check_method(app if isinstance(app, type) else type(app), name)
        if spec.path in found:
            both = f"{found[spec.path].name} and {name} are both served at {spec.path!r}"
            message = f"{line_of(function)}{both}. Give each endpoint a path of its own."
            raise AppDefinitionError(message)
        found[spec.path] = BoundEndpoint(name, spec, function)
    if sum(each.spec.health_check is not None for each in found.values()) > 1:
        message = "An app has one health check; two of its endpoints declare one."
        raise AppDefinitionError(message)
    if not found:
        kind = app if isinstance(app, type) else type(app)
        message = f"{kind.__name__} has no endpoints. Mark a method with @towpath.endpoint('/')."
        raise AppDefinitionError(message)
    return [found[path] for path in sorted(found)]
