"""AppHost: one live app object. Setup once, many calls, teardown; no HTTP."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from towpath.app.definition import App, BoundEndpoint, endpoints_of
from towpath.context import set_lifetime_default
from towpath.runner.containing import contained
from towpath.runner.invoke import Invoker, Limits
from towpath.runner.registry import Registry
from towpath.runner.wire import slots_of

__all__ = ["AppHost"]

log = logging.getLogger(__name__)


class AppHost:
    """Holds the app object of a runner.

    Args:
        kind: the author's class.
    """

    def __init__(self, kind: type[App]) -> None:
        self.kind = kind
        self.app = kind()
        self.endpoints: list[BoundEndpoint] = endpoints_of(self.app)
        self._is_set_up = False

    def invoker(self, registry: Registry) -> Invoker:
        """Return what calls this app's endpoints; made inside the event loop."""
        limits = Limits(
            at_once=slots_of(self.kind),
            start=self.kind.request_start_timeout,
            run=self.kind.request_timeout,
            grace=self.kind.termination_grace_period_seconds,
        )
        return Invoker(limits, registry)

    async def setup(self) -> None:
        """Run the author's setup, sync or async."""
        set_lifetime_default(self.kind.media_expires_in)
        await _called(self.app.setup)
        self._is_set_up = True

    def handle_exit(self) -> None:
        """Tell the app that it is asked to stop."""
        try:
            with contained():
                self.app.handle_exit()
        except Exception:
            log.exception("handle_exit failed", extra={"app": self.kind.name})

    async def teardown(self) -> None:
        """Run the author's teardown, if setup had succeeded."""
        if not self._is_set_up:
            return
        self._is_set_up = False
        try:
            await _called(self.app.teardown)
        except Exception:
            log.exception("teardown failed", extra={"app": self.kind.name})

    def hints(self) -> str:
        """Return what the app says it has warm, as the value of a header."""
        if type(self.app).provide_hints is App.provide_hints:
            return ""
        try:
            with contained():
                given = [str(hint) for hint in self.app.provide_hints()]
        except Exception:
            log.exception("provide_hints failed", extra={"app": self.kind.name})
            return ""
        return ",".join(h for h in given if h.isprintable() and h.isascii() and "," not in h)

    async def health(self) -> Any:  # noqa: ANN401 - the author's value
        """Return what the app says of its health."""
        call = self.app.health
        if inspect.iscoroutinefunction(call):
            with contained():
                return await call()
        return await asyncio.to_thread(_contained, call)


async def _called(function: Callable[[], Any]) -> None:
    """Call the author's hook, on this thread if it is sync: models are bound to theirs."""
    with contained():
        result = function()
        if inspect.isawaitable(result):
            await result


def _contained(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - the author's value
    """Call the author's code in a thread."""
    with contained():
        return call()
