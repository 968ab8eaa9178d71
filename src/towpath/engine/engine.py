"""The engine's seam: what starts runners and says where they answer."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from towpath.net.upstream import Upstream
from towpath.runner.wire import AppSpec

__all__ = ["AppState", "AppStatus", "Engine", "RunnerLease"]

AppState = Literal["starting", "ready", "backoff", "stopped"]


@dataclass(frozen=True, slots=True)
class AppStatus:
    """How an app's runners are.

    Attributes:
        state: `ready` when requests are worked on, or a runner is started for the next one.
        starting, idle, busy: runners.
        waiting: requests that wait for one.
        restarts: runners that were replaced.
        failure: why the last start failed, with its traceback; for operators, never for callers.
    """

    state: AppState
    starting: int = 0
    idle: int = 0
    busy: int = 0
    waiting: int = 0
    restarts: int = 0
    failure: str | None = None


class RunnerLease(Protocol):
    """A place on a runner.

    The place is free again when the lease's block ends. If a request was begun and not finished
    by then, that is when the runner says that it is over, or is dead.
    """

    @property
    def upstream(self) -> Upstream:
        """Return the way to the runner."""

    def begin(self, request_id: str) -> None:
        """Note that a request goes to the runner."""

    def stay(self, request_id: str, most: int) -> bool:
        """Change the place for one of *most* that long-lived connections have on the runner.

        The request's own place is free for others then. Return False where none of them is free.
        """

    def finish(self, status: int, headers: Mapping[str, str]) -> None:
        """Note that its answer came, to the last byte, and what its headers ask of us."""

    async def has_ended(self) -> bool:
        """Return whether the runner's process is gone; wait a moment for its end."""


class Engine(Protocol):
    """Places runners."""

    async def deploy(self, app: AppSpec) -> None:
        """Run *app*, or its new code in the place of the old; the same again changes nothing.

        Raises:
            AppSetupError, StartTimeoutError: the new code cannot start; the old one runs on.
        """

    async def remove(self, app: str) -> None:
        """Stop an app's runners; one that is unknown is no error."""

    async def status(self, app: str) -> AppStatus:
        """Return how an app's runners are.

        Raises:
            UnknownAppError: there is no such app.
        """

    def acquire(
        self, app: str, *, hint: str | None = None, alone: bool = False
    ) -> AbstractAsyncContextManager[RunnerLease]:
        """Wait for a free place on a runner of *app*, on one that has *hint* warm if possible.

        *alone*: on a runner that nothing else works on meanwhile.

        Raises:
            UnknownAppError: there is no such app.
            AppSetupError, StartTimeoutError: it has no runner that works; another is tried.
        """
