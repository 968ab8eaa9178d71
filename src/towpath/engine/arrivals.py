"""Apps on their way: their files are loaded side by side, while the server answers already.

To load all of them before the port answers is simpler, and wrong in three ways: a load balancer
takes a server that makes an environment for a dead one, one file that cannot be loaded takes the
good ones with it, and twelve apps wait for the slowest. So each app is deployed when it is loaded.
One whose environment cannot be made is tried again, since a package index may be away for a while;
one whose code is wrong stays as it is until the code is loaded anew. When no app at all can be
served, there is no server: the first reason is raised.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from towpath.app.loading import parse_reference
from towpath.app.outline import names_in
from towpath.engine.engine import AppStatus
from towpath.engine.scaling import backoff_seconds
from towpath.errors import (
    AppDefinitionError,
    AppError,
    AppNotLoadedError,
    AppSetupError,
    ServerStoppingError,
)
from towpath.runner.wire import AppSpec

__all__ = ["Arrivals"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Expected:
    """What is to be loaded.

    Attributes:
        reference: from where.
        names: of its apps, as far as one can tell.
        error: why it could not be loaded, the last time.
        tried: set once it was loaded, or could not be.
    """

    reference: str
    names: tuple[str, ...]
    error: AppError | None = None
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class Arrivals:
    """Loads apps.

    Args:
        references: where they are.
        load: says which apps a reference has.
        welcome: deploys an app.
    """

    def __init__(
        self,
        references: Sequence[str],
        load: Callable[[str], Awaitable[list[AppSpec]]],
        welcome: Callable[[AppSpec], Awaitable[None]],
    ) -> None:
        self._load_apps = load
        self._welcome = welcome
        self._expected = [_Expected(r, names_in(parse_reference(r))) for r in references]
        self._here: dict[str, str] = {}
        self._news: asyncio.Queue[AppSpec | None] = asyncio.Queue()
        self._failure: AppError | None = None
        self._over = asyncio.Event()
        self._retries: set[asyncio.Task[None]] = set()

    async def bring(self) -> None:
        """Load everything once, side by side; what is to be tried again goes on beside.

        Raises:
            AppDefinitionError: two apps have the same name.
            AppError: no app can be served.
        """
        tasks = [asyncio.create_task(self._first(each)) for each in self._expected]
        try:
            await self._all(tasks)
        except AppError as error:
            self._failure = error
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._over.set()
            self._news.put_nowait(None)

    async def _all(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        """Wait for every first try, or for the first that ends the server."""
        if tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        errors = [each.error for each in self._expected if each.error is not None]
        if errors and not self._here:
            raise errors[0]
        for each in self._expected:
            if isinstance(each.error, AppSetupError):
                retry = asyncio.create_task(self._again(each), name=f"load {each.reference}")
                self._retries.add(retry)
                retry.add_done_callback(self._retries.discard)

    async def stop(self) -> None:
        """Load nothing more."""
        tasks = tuple(self._retries)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what the engine asks ---

    def statuses(self) -> dict[str, AppStatus]:
        """Return how the apps are that are not here yet."""
        return {
            name: _status(each.error)
            for each in self._expected
            if not each.tried.is_set() or each.error is not None
            for name in each.names
            if name not in self._here
        }

    async def expected(self, app: str, seconds: float) -> bool:
        """Wait for an app that is on its way; return whether there is one of that name.

        Raises:
            AppSetupError: it could not be loaded; AppNotLoadedError where its code is wrong.
            ServerStoppingError: nothing more is loaded.
            TimeoutError: it is still being loaded.
        """
        found = [each for each in self._expected if app in each.names]
        for each in found:
            await asyncio.wait_for(each.tried.wait(), seconds)
        if app in self._here:
            return True
        errors = [each.error for each in found if each.error is not None]
        if errors:
            retried = any(isinstance(error, AppSetupError) for error in errors)
            raise AppSetupError(app) if retried else AppNotLoadedError(app)
        if any(app in each.names for each in found):
            raise ServerStoppingError
        return bool(found)

    async def arriving(self) -> AsyncIterator[AppSpec]:
        """Yield the apps as they come, until everything was tried once; for one reader."""
        while (spec := await self._news.get()) is not None:
            yield spec

    async def settled(self) -> None:
        """Return when everything was tried once.

        Raises:
            AppError: no app can be served.
        """
        if self._expected:
            await self._over.wait()
        if self._failure is not None:
            raise self._failure

    def note_loaded(self, reference: str, specs: Sequence[AppSpec]) -> None:
        """Note that a reference was loaded anew, whatever was wrong with it before."""
        for each in self._expected:
            if each.reference == reference:
                each.error = None
        self._here |= {spec.name: spec.reference for spec in specs}

    # --- pieces ---

    async def _first(self, each: _Expected) -> None:
        """Load one reference for the first time; note why it could not be.

        Raises:
            AppDefinitionError: an app of it has the name of another one.
        """
        try:
            await self._load(each)
        finally:
            each.tried.set()

    async def _load(self, each: _Expected) -> None:
        try:
            specs = await self._load_apps(each.reference)
        except AppError as error:
            each.error = error
            log.error(  # noqa: TRY400 - the author's lines are logged, ours say nothing
                "app cannot be loaded", extra={"app": each.reference, "reason": str(error)}
            )
            return
        each.error = None
        each.names = tuple(spec.name for spec in specs)
        for spec in specs:
            self._refuse_twin(spec)
            try:
                await self._welcome(spec)
            except AppDefinitionError as error:
                each.error = error
                log.error("app cannot be served", extra={"app": spec.name, "reason": str(error)})  # noqa: TRY400 - as above
            else:
                self._here[spec.name] = spec.reference
                self._news.put_nowait(spec)

    def _refuse_twin(self, spec: AppSpec) -> None:
        """Refuse an app whose name another one has.

        Raises:
            AppDefinitionError: it is so.
        """
        if spec.name in self._here:
            message = (
                f"{self._here[spec.name]} and {spec.reference} are both named {spec.name!r}. "
                "Give one another name: class X(towpath.App, name='…')."
            )
            raise AppDefinitionError(message)

    async def _again(self, each: _Expected) -> None:
        """Load a reference again and again, until it is here or its code is wrong."""
        failures = 0
        while isinstance(each.error, AppSetupError):
            failures += 1
            await asyncio.sleep(backoff_seconds(failures))
            with suppress(AppDefinitionError):  # a twin, which is served already
                await self._load(each)


def _status(error: AppError | None) -> AppStatus:
    """Return how an app is that is not here."""
    if error is None:
        return AppStatus("starting")
    trace = error.traceback if isinstance(error, AppSetupError | AppDefinitionError) else ""
    failure = f"{trace.rstrip()}\n{error}".strip()
    return AppStatus("backoff" if isinstance(error, AppSetupError) else "stopped", failure=failure)
