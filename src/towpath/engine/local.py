"""The engine of one machine: child processes, as many as each app needs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio

from towpath.clock import system_clock
from towpath.engine.arrivals import Arrivals
from towpath.engine.child import Child, Wanted, describe, sweep_homes
from towpath.engine.engine import AppState, AppStatus
from towpath.engine.machine import Machine, list_gpus
from towpath.engine.output import log_output
from towpath.engine.pipes import Event
from towpath.engine.places import Lease
from towpath.engine.pool import Pool
from towpath.engine.scaling import Scale
from towpath.engine.template import Templates
from towpath.errors import AppError, AppStartingError, UnknownAppError
from towpath.runner.crashes import IS_OVERDUE
from towpath.runner.process import sweep_runners
from towpath.runner.strays import end_strays, is_server_gone
from towpath.runner.wire import AppSpec
from towpath.settings import Settings

__all__ = ["LocalEngine"]

_PATIENCE_SECONDS = 30.0
"""That a call waits for its app to be loaded; a restart takes its callers no longer."""

_OVERDUE = "The code did not stop in the time that it had to; its runner was ended."

Listener = Callable[[Event], None]


class LocalEngine:
    """Runs apps in child processes, and keeps them alive.

    Args:
        specs: the apps that are served from the start.
        settings: what runners get.
        templates: what runners are forked from; they outlive the engine.
        hear: called in the event loop with what runners print and say of their requests.
    """

    def __init__(
        self,
        specs: Sequence[AppSpec],
        settings: Settings,
        templates: Templates,
        hear: Listener | None = None,
    ) -> None:
        self._settings = settings
        self._first = list(specs)
        self._pools: dict[str, Pool] = {}
        self._machine = Machine([], is_strict=settings.strict_machine)
        self._is_surveyed = False
        self._surveying = asyncio.Lock()
        self._hear = hear
        self._templates = templates
        self._arrivals = Arrivals((), self._describe, self.deploy)

    def listen(self, hear: Listener) -> None:
        """Say who hears what runners print and say of their requests."""
        self._hear = hear

    def expect(self, references: Sequence[str]) -> None:
        """Say which apps are to be loaded by `bring`; their names are known from now on."""
        self._arrivals = Arrivals(references, self._describe, self.deploy)

    # --- Engine ---

    async def deploy(self, app: AppSpec) -> None:
        """Run *app*, or its new code in the place of the old; the same again changes nothing."""
        await self._survey()
        self._machine.check(app)
        pool = self._pools.get(app.name)
        if pool is None:
            pool = self._pools[app.name] = Pool(app, self._start, self._scale)
            pool.launch()
        elif pool.spec != app:
            await pool.renew(app)

    async def remove(self, app: str) -> None:
        """Stop an app's runners; one that is unknown is no error."""
        pool = self._pools.pop(app, None)
        if pool is not None:
            await pool.stop()

    async def status(self, app: str) -> AppStatus:
        """Return how an app's runners are."""
        return self._pool(app).status()

    def acquire(self, app: str, *, hint: str | None = None, alone: bool = False) -> Lease:
        """Wait for a free place on a runner of *app*."""
        return self._pool(app).acquire(hint, alone=alone)

    # --- a server's ---

    @property
    def specs(self) -> list[AppSpec]:
        """Return the apps, in their order."""
        return [pool.spec for pool in self._pools.values()] or self._first

    async def check(self) -> None:
        """Look whether this machine has what the apps ask for.

        Raises:
            AppDefinitionError: it has not, and the settings ask for exactly that.
        """
        await self._survey()
        for spec in self._first:
            self._machine.check(spec)

    async def _survey(self) -> None:
        """Look once which GPUs there are."""
        async with self._surveying:
            if not self._is_surveyed:
                gpus = await anyio.to_thread.run_sync(list_gpus)
                self._machine = Machine(gpus, is_strict=self._settings.strict_machine)
                self._is_surveyed = True

    async def start(self) -> None:
        """Sweep what dead runners left, then start the apps that are known."""
        await anyio.to_thread.run_sync(end_strays, is_server_gone)
        await anyio.to_thread.run_sync(sweep_runners, self._settings.state / "runners")
        await anyio.to_thread.run_sync(sweep_homes)
        for spec in self._first:
            await self.deploy(spec)

    async def bring(self) -> None:
        """Load the apps that are expected, side by side; each is served as soon as it is loaded.

        Raises:
            AppError: two have the same name, or none can be served.
        """
        await self._arrivals.bring()

    async def stop(self, *, grace: float | None = None) -> None:
        """Stop every runner; each app's own grace holds unless one is given."""
        await self._arrivals.stop()
        async with anyio.create_task_group() as group:
            for pool in self._pools.values():
                group.start_soon(partial(pool.stop, grace=grace))

    def spec(self, owner: str, app: str) -> AppSpec:
        """Return the spec of *owner*/*app*.

        Raises:
            UnknownAppError: it is not served here.
        """
        if owner != self._settings.owner:
            raise UnknownAppError(owner, app, self._known())
        return self._pool(app).spec

    async def find(self, owner: str, app: str) -> AppSpec:
        """Return the spec of *owner*/*app*; wait a little for one that is being loaded.

        Raises:
            UnknownAppError: it is not served here.
            AppSetupError: it cannot be loaded.
            AppStartingError: it is still being loaded.
        """
        if app not in self._pools and owner == self._settings.owner:
            try:
                await self._arrivals.expected(app, _PATIENCE_SECONDS)
            except TimeoutError:
                raise AppStartingError(app) from None
        return self.spec(owner, app)

    def arriving(self) -> AsyncIterator[AppSpec]:
        """Return the apps that are expected, as they come; for one reader."""
        return self._arrivals.arriving()

    async def settled(self) -> None:
        """Return when every app was started, or has failed to.

        Raises:
            AppError: no app can be served.
        """
        await self._arrivals.settled()
        for pool in self._pools.values():
            await pool.settled()

    def states(self) -> dict[str, AppState]:
        """Return the state of every app, of those too that are being loaded or cannot be."""
        arriving = {name: status.state for name, status in self._arrivals.statuses().items()}
        return arriving | {name: pool.state for name, pool in self._pools.items()}

    def statuses(self) -> dict[str, AppStatus]:
        """Return how every app's runners are."""
        arriving = self._arrivals.statuses()
        return arriving | {name: pool.status() for name, pool in self._pools.items()}

    async def reload(self, references: Sequence[str]) -> None:
        """Load the code again; apps whose new code cannot start keep their present runners.

        Raises:
            AppError: a file cannot be loaded, or an app's new code cannot start.
        """
        failures: list[AppError] = []
        for reference in references:
            specs = await self._describe(reference)
            for spec in specs:
                try:
                    await self._renew(spec)
                except AppError as error:
                    failures.append(error)
            self._arrivals.note_loaded(reference, specs)
        if failures:
            raise failures[0]

    async def _renew(self, spec: AppSpec) -> None:
        if spec.name in self._pools:
            await self._pools[spec.name].renew(spec)
        else:
            await self.deploy(spec)

    # --- pieces ---

    async def _describe(self, reference: str) -> list[AppSpec]:
        return await describe(reference, self._settings, self._templates)

    def _pool(self, app: str) -> Pool:
        pool = self._pools.get(app)
        if pool is None:
            raise UnknownAppError(self._settings.owner, app, self._known())
        return pool

    def _known(self) -> list[str]:
        return [f"{self._settings.owner}/{name}" for name in self._pools]

    def _scale(self, spec: AppSpec) -> Scale:
        """Return how many runners there may be.

        One at least unless it may go to zero, one at most unless the author says more, and no
        more than have GPUs of their own.
        """
        least = max(spec.min_runners, 0 if self._settings.scale_to_zero else 1)
        most = max(1, least) if spec.max_runners is None else max(1, spec.max_runners)
        have = self._machine.most(spec)
        most = most if have is None else min(most, have)
        return Scale(
            min(least, most),
            most,
            spec.slots,
            spec.buffer,
            spec.scaling_delay,
            spec.keep_alive,
            room=have,
        )

    async def _start(self, spec: AppSpec) -> Child:
        gpus, loop = self._machine.take(spec), asyncio.get_running_loop()
        owner, started = self._settings.owner, list[Child]()

        def tell(event: Event) -> None:
            if event.kind == "end" and started and IS_OVERDUE in started[0].crash_report():
                tell(Event("log", "", "STDERR", _OVERDUE, system_clock()))
            try:
                loop.call_soon_threadsafe(self._heard, spec.name, started, event)
            except RuntimeError:  # the loop has ended
                self._print(spec.name, started, event)

        wanted = Wanted(spec, owner, gpus, tell, partial(self._machine.give_back, gpus))
        try:
            started.append(await Child.start(wanted, self._settings, self._templates))
        except BaseException:
            self._machine.give_back(gpus)
            raise
        return started[0]

    def _heard(self, app: str, started: Sequence[Child], event: Event) -> None:
        """Pass an event on; a line that nobody is named for is that of the one request at work.

        The end of a runner is the end of all that it works on.
        """
        holders = tuple(started[0].requests) if started else ()
        if not event.request_id and len(holders) == 1:
            event = replace(event, request_id=holders[0])
        self._print(app, started, event)
        if self._hear is None:
            return
        if event.request_id:
            self._hear(event)
        elif event.kind == "end":
            for request_id in holders:
                self._hear(replace(event, request_id=request_id))

    def _print(self, app: str, started: Sequence[Child], event: Event) -> None:
        """Write a line that a runner printed into the server's log."""
        if event.kind == "log":
            pid = started[0].process.pid if started else 0
            log_output(f"{self._settings.owner}/{app}", pid, event)
