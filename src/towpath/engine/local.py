"""The engine of one machine: a child process for each app."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from towpath.engine.child import Child, describe, sweep_homes
from towpath.engine.supervisor import State, Supervisor
from towpath.errors import UnknownAppError
from towpath.net.upstream import Upstream
from towpath.runner.process import sweep_runners
from towpath.runner.wire import AppSpec
from towpath.settings import Settings

__all__ = ["LocalEngine", "machine_warning"]

log = logging.getLogger(__name__)

_GPU_DEVICES = ("/dev/nvidia0", "/dev/kfd", "/dev/nvidiactl")


class LocalEngine:
    """Runs each app in one runner and keeps it alive.

    Args:
        specs: the apps.
        settings: what runners get.
    """

    def __init__(self, specs: Sequence[AppSpec], settings: Settings) -> None:
        self._settings = settings
        self._supervisors = {spec.name: Supervisor(spec, self._start) for spec in specs}

    @property
    def specs(self) -> list[AppSpec]:
        """Return the apps, in their order."""
        return [supervisor.spec for supervisor in self._supervisors.values()]

    async def start(self) -> None:
        """Sweep what dead runners left, then start every app."""
        await anyio.to_thread.run_sync(sweep_runners, self._settings.state / "runners")
        await anyio.to_thread.run_sync(sweep_homes)
        for supervisor in self._supervisors.values():
            warning = machine_warning(supervisor.spec, has_gpu=_has_gpu())
            if warning:
                log.warning(warning)
            supervisor.launch()

    async def stop(self, *, grace: float | None = None) -> None:
        """Stop every runner; each app's own grace holds unless one is given."""
        async with anyio.create_task_group() as group:
            for supervisor in self._supervisors.values():
                group.start_soon(partial(supervisor.stop, grace=grace))

    def spec(self, owner: str, app: str) -> AppSpec:
        """Return the spec of *owner*/*app*.

        Raises:
            UnknownAppError: it is not served here.
        """
        supervisor = self._supervisors.get(app) if owner == self._settings.owner else None
        if supervisor is None:
            known = [f"{self._settings.owner}/{name}" for name in self._supervisors]
            raise UnknownAppError(owner, app, known)
        return supervisor.spec

    @asynccontextmanager
    async def acquire(self, app: str) -> AsyncIterator[Upstream]:
        """Wait for a runner of *app* and give the way to it.

        Raises:
            AppSetupError: the app cannot start.
            StartTimeoutError: it is not ready in time.
        """
        child = await self._supervisors[app].acquire()
        yield child.upstream

    async def settled(self) -> None:
        """Return when every app was started, or has failed to."""
        for supervisor in self._supervisors.values():
            await supervisor.settled()

    def states(self) -> dict[str, State]:
        """Return the state of every app's runner."""
        return {name: supervisor.state for name, supervisor in self._supervisors.items()}

    def restarts(self) -> dict[str, int]:
        """Return how often every app's runner was replaced."""
        return {name: supervisor.restarts for name, supervisor in self._supervisors.items()}

    async def reload(self, references: Sequence[str]) -> None:
        """Load the code again; apps whose new code cannot start keep their present runner.

        Raises:
            AppDefinitionError: a file cannot be loaded.
        """
        for reference in references:
            for spec in await describe(reference, self._settings):
                if spec.name in self._supervisors:
                    await self._supervisors[spec.name].renew(spec)

    async def _start(self, spec: AppSpec) -> Child:
        return await Child.start(spec, self._settings, owner=self._settings.owner)


def machine_warning(spec: AppSpec, *, has_gpu: bool) -> str | None:
    """Return what to say about an app that would like another machine, or None."""
    first = spec.machine_type[0] if spec.machine_type else ""
    wants_gpu = first.upper().startswith("GPU") or bool(spec.num_gpus)
    if not wants_gpu or has_gpu:
        return None
    asked = f"{spec.num_gpus} x {first}" if spec.num_gpus else first
    wish = f"app {spec.name} asks for {asked}"
    return f"{wish}; this machine has no GPU, so it runs on the CPU"


def _has_gpu() -> bool:
    """Return whether this machine shows a GPU device."""
    return any(Path(device).exists() for device in _GPU_DEVICES)
