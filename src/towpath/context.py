"""What the code of a request may know about it, wherever in the call stack it stands."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

__all__ = [
    "Lifetime",
    "ProcessPlaces",
    "RequestContext",
    "current_request",
    "lifetime_default",
    "places",
    "report_progress",
    "serving",
    "set_lifetime_default",
    "set_places",
    "set_reporter",
]

Lifetime = int | Literal["never", "immediate", "1h", "1d", "7d", "30d", "1y"]
"""How long a file lives: seconds, at least 1, at most 100 years, or a word; `immediate` is 60 s."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request, as the app's code sees it.

    Attributes:
        request_id: the id that the caller sees in `x-fal-request-id`.
        endpoint: `owner/app/path`.
        app: `owner/app`.
        lifecycle_preference: the caller's wish for the life of the files made here, as sent.
        headers: the request's headers, names in lower case.
    """

    request_id: str
    endpoint: str
    app: str
    lifecycle_preference: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_request: ContextVar[RequestContext | None] = ContextVar("towpath_request", default=None)


def current_request() -> RequestContext | None:
    """Return the request that this code works for, or None outside of one."""
    return _request.get()


@contextmanager
def serving(request: RequestContext) -> Iterator[None]:
    """Make *request* the current one."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


@dataclass(frozen=True, slots=True)
class ProcessPlaces:
    """Where this process keeps what it needs only for now.

    Attributes:
        temp: the runner's own temp folder, standing for `/tmp`; None outside a runner.
        tmp_mount: `/tmp`, and the folder that is mounted there for this process alone; None where
            nothing is.
    """

    temp: Path | None = None
    tmp_mount: tuple[Path, Path] | None = None

    def true_path(self, path: Path) -> Path:
        """Return *path* by the way that leads through no mount of our own.

        The system links and clones no file from one mount to another (EXDEV, link(2)), not even
        where both show the same disk.
        """
        if self.tmp_mount is None or not path.is_relative_to(self.tmp_mount[0]):
            return path
        inside, outside = self.tmp_mount
        other = outside / path.relative_to(inside)
        try:
            return other if other.parent.samefile(path.parent) else path
        except OSError:
            return path


class _Process:
    """What one process is set up with; a runner does it once, at its start."""

    places = ProcessPlaces()
    lifetime: Lifetime | None = None
    report: "Reporter | None" = None


Reporter = Callable[[str, str], None]
"""Takes a request's id and its progress as JSON."""


def set_reporter(report: Reporter | None) -> None:
    """Say who hears how far requests are; a runner does so before it loads the app."""
    _Process.report = report


def report_progress(content: str) -> None:
    """Tell how far the current request is; outside of one, nobody hears it."""
    request = current_request()
    if request is not None and request.request_id and _Process.report is not None:
        _Process.report(request.request_id, content)


def places() -> ProcessPlaces:
    """Return the folders of this process."""
    return _Process.places


def set_places(new: ProcessPlaces) -> None:
    """Say which folders this process has; a runner does so before it loads the app."""
    _Process.places = new


def lifetime_default() -> Lifetime | None:
    """Return the life that this process's app gives its files, or None."""
    return _Process.lifetime


def set_lifetime_default(lifetime: Lifetime | None) -> None:
    """Say how long files of this process's app live unless a call or a request says otherwise."""
    _Process.lifetime = lifetime
