"""One runner as a child process: started, awaited, stopped, and nothing of it left."""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

import psutil
from anyio import CapacityLimiter, to_thread

from towpath.app.loading import parse_reference
from towpath.app.requirements import requirements_in
from towpath.clock import system_clock
from towpath.engine.environments import python_of
from towpath.engine.output import log_output
from towpath.engine.pipes import Event, Pipes, RunnerPipes
from towpath.engine.process import ChildProcess, ending
from towpath.engine.template import Template, Templates
from towpath.errors import AppDefinitionError, AppSetupError, StartTimeoutError
from towpath.net.upstream import Upstream, UpstreamError
from towpath.runner.process import RunnerFolder, end_group
from towpath.runner.strays import MARK, end_strays, mark_of_server
from towpath.runner.wire import FOR_OPERATOR, AppSpec
from towpath.settings import Settings

__all__ = ["Child", "Wanted", "describe", "sweep_homes"]

_MODULE = ("-P", "-m", "towpath.runner")  # -P: nothing in the working folder hides our modules
_LONGEST_TEMP = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """A runner that is to be started.

    Attributes:
        spec: its app.
        owner: of the app.
        gpus: that it may use; none says nothing about them.
        tell: called in a thread with what it prints and says.
        removed: called once it is gone.
    """

    spec: AppSpec
    owner: str
    gpus: tuple[str, ...]
    tell: Callable[[Event], None]
    removed: Callable[[], None]


@dataclass(slots=True)
class Child:
    """A running runner.

    Attributes:
        spec: its app.
        owner: of the app.
        process: its process; leader of its own session.
        upstream: HTTP towards it.
        home: the short folder of its socket.
        runners: where runners have their own folders.
        pipes: what it prints and says.
        removed: called once it is gone.
        mark: in the environment of the runner and of what it starts.
        is_killed: whether the server ended it, because it was stuck or not well.
        is_removed: whether its end was seen to.
        requests: that it works on.
    """

    spec: AppSpec
    owner: str
    process: ChildProcess
    upstream: Upstream
    home: Path
    runners: Path
    pipes: Pipes
    removed: Callable[[], None]
    mark: str
    is_killed: bool = False
    is_removed: bool = False
    requests: set[str] = field(default_factory=set)

    @classmethod
    async def start(cls, wanted: "Wanted", settings: Settings, templates: Templates) -> "Child":
        """Start a runner; it takes requests once `ready` returns.

        Raises:
            AppSetupError: its requirements cannot be installed.
        """
        spec = wanted.spec
        python = await python_of(spec.name, spec.requirements, settings)
        with ExitStack() as made, ExitStack() as inherited:  # the second is the runner's, not ours
            home = Path(tempfile.mkdtemp(prefix=f"towpath-{os.getpid()}-", dir=_short_temp()))
            made.callback(rmtree, home, ignore_errors=True)
            path, mark = home / "r.sock", f"{mark_of_server()}.{home.name}"
            listener = inherited.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(str(path))
            listener.listen(512)
            pipes = Pipes(wanted.tell, system_clock)
            made.callback(pipes.drop)
            ends = pipes.open()
            inherited.callback(ends.close)
            env = settings.environment_of_runner() | _visible(wanted.gpus) | {MARK: mark}
            origin = _Origin(python, env, templates.of(python, env))
            process = await _spawn(wanted, origin, listener.fileno(), ends)
            made.pop_all()
        pipes.start()
        runners, upstream = settings.state / "runners", Upstream(str(path))
        return cls(
            spec, wanted.owner, process, upstream, home, runners, pipes, wanted.removed, mark
        )

    async def ready(self) -> None:
        """Wait until setup is over.

        Raises:
            AppSetupError: the process ended before.
            StartTimeoutError: it took longer than the app's startup_timeout.
        """
        healthy = asyncio.ensure_future(self._first_answer())
        ended = asyncio.ensure_future(self.process.wait())
        try:
            done, _ = await asyncio.wait(
                {healthy, ended},
                timeout=self.spec.startup_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            healthy.cancel()
            ended.cancel()
        if not done:
            raise StartTimeoutError(self.spec.name, self.spec.startup_timeout)
        if healthy not in done or healthy.exception() is not None:
            raise AppSetupError(self.spec.name, traceback=self._failure())

    async def _first_answer(self) -> None:
        """Return when the runner answers; its socket takes the connection before it is ready."""
        while True:
            try:
                async with await self.upstream.request("GET", "/health"):
                    return
            except UpstreamError:
                await asyncio.sleep(0.05)

    def _failure(self) -> str:
        """Return what the runner wrote down when it could not start."""
        folder = RunnerFolder.of(self.runners, self.process.pid)
        if folder is not None and folder.failure.exists():
            return folder.failure.read_text(errors="replace")  # a full disk cuts it anywhere
        ended = f"the runner ended with {ending(self.process.returncode or 0)}"
        return f"{self.pipes.tail()}\n{ended}"

    def kill(self) -> None:
        """End the runner and what it started, now; one that has ended may have left its number."""
        if self.process.returncode is None:
            self.is_killed = True
            end_group(self.process.pid)

    async def stop(self, *, grace: float) -> None:
        """Ask the runner to finish; end it when it does not within *grace* seconds."""
        if self.process.returncode is None and grace > 0:
            self.process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self.process.wait()
        await self.remove()

    async def remove(self) -> None:
        """End what is left of the runner and remove its folders."""
        if self.is_removed:
            await self.process.wait()
            return
        self.is_removed = True
        self.process.let_go()
        end_group(self.process.pid)
        if await self.process.wait() < 0:  # its guardian may be what was killed
            await asyncio.to_thread(end_strays, self.mark.__eq__)
        await asyncio.to_thread(self.pipes.tail)  # its last lines come before its end is told
        await self.upstream.close()
        await asyncio.to_thread(self._tell_crash)
        folder = RunnerFolder.of(self.runners, self.process.pid)
        for path in (self.home, folder.path if folder else None):
            if path is not None:
                await asyncio.to_thread(rmtree, path, ignore_errors=True)
        self.removed()

    def crash_report(self) -> str:
        """Return the stacks that the runner wrote down when it crashed, or was ended."""
        folder = RunnerFolder.of(self.runners, self.process.pid)
        return folder.crash_report() if folder is not None else ""

    def _tell_crash(self) -> None:
        """Tell the operator where the runner's code was; its requests' logs have callers."""
        at_work = next(iter(self.requests)) if len(self.requests) == 1 else ""
        for line in self.crash_report().splitlines():
            event = Event("log", at_work, f"{FOR_OPERATOR}ERROR", line, system_clock())
            log_output(f"{self.owner}/{self.spec.name}", self.process.pid, event)


def _short_temp() -> str:
    """Return a temp folder whose path is short enough for a socket's (103 bytes)."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST_TEMP else "/tmp"  # noqa: S108 - a folder of random name is made in it


def sweep_homes() -> int:
    """Remove the socket folders that killed servers left; return how many."""
    removed = 0
    for home in Path(_short_temp()).glob("towpath-*-*"):
        pid = home.name.split("-")[1]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            rmtree(home, ignore_errors=True)
            removed += 1
    return removed


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a process of a runner is made from.

    Attributes:
        python: its interpreter.
        env: its whole environment.
        template: what it is forked from, if there is one.
    """

    python: str
    env: Mapping[str, str]
    template: Template | None

    async def start(
        self, *arguments: str, descriptors: Sequence[int], ends: RunnerPipes
    ) -> ChildProcess:
        """Start a process; what it prints goes into the pipes."""
        return await ChildProcess.start(
            (self.python, *_MODULE, *arguments),
            descriptors=descriptors,
            env=self.env,
            outputs=(ends.out, ends.err),
            template=self.template,
        )


async def _spawn(wanted: Wanted, origin: _Origin, listener: int, ends: RunnerPipes) -> ChildProcess:
    """Start the process of a runner."""
    options = {"--owner": wanted.owner, "--socket": listener, "--events": ends.events}
    flags = [str(word) for pair in options.items() for word in pair]
    return await origin.start(
        wanted.spec.reference, *flags, descriptors=(listener, ends.events), ends=ends
    )


def _visible(gpus: Sequence[str]) -> dict[str, str]:
    """Return what tells a process which GPUs it may use."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}


async def describe(reference: str, settings: Settings, templates: Templates) -> list[AppSpec]:
    """Return the specs of the apps in *reference*, loaded in a process of their own.

    Raises:
        AppDefinitionError: they cannot be loaded.
        AppSetupError: their requirements cannot be installed.
    """
    requirements = requirements_in(parse_reference(reference))
    python = await python_of(reference, requirements, settings)
    env = settings.environment_of_runner()
    content, status = await _described(_Origin(python, env, templates.of(python, env)), reference)
    if "apps" not in content:
        ended = f"{reference} cannot be loaded: its process ended with {ending(status)}."
        trace = str(content.get("traceback", ""))
        raise AppDefinitionError(str(content.get("error", ended)), traceback=trace)
    return [_checked(AppSpec.from_json(app), requirements) for app in content["apps"]]


async def _described(origin: _Origin, reference: str) -> tuple[Mapping[str, Any], int]:  # Any: JSON
    """Have a process load the apps; return what it says of them, and its exit status."""
    started = list[ChildProcess]()

    def tell(event: Event) -> None:
        log_output(reference, started[0].pid if started else 0, event)

    pipes = Pipes(tell, system_clock)
    ends = pipes.open()
    read_end, write_end = os.pipe()
    try:
        process = await origin.start(
            reference, "--describe", str(write_end), descriptors=(write_end,), ends=ends
        )
    except BaseException:
        os.close(read_end)
        pipes.drop()
        raise
    finally:
        os.close(write_end)
        ends.close()
    started.append(process)
    pipes.start()
    try:
        # a thread of its own: code that loads for minutes would keep one that all others share
        alone = CapacityLimiter(1)
        content = await to_thread.run_sync(
            _read_json, read_end, abandon_on_cancel=True, limiter=alone
        )
        return content, await process.wait()
    finally:
        end_group(process.pid)
        await asyncio.to_thread(pipes.tail)


def _checked(spec: AppSpec, read: Sequence[str]) -> AppSpec:
    """Return *spec* if what its class requires was seen in its file.

    Raises:
        AppDefinitionError: it was not.
    """
    unseen = [text for text in spec.requirements if text not in read]
    if unseen:
        message = (
            f"App {spec.name} requires {', '.join(unseen)}, which its file does not say in so many "
            'words. Write requirements = ["…"] in the class.'
        )
        raise AppDefinitionError(message)
    return spec


def _read_json(descriptor: int) -> Mapping[str, Any]:  # Any: JSON
    """Read the pipe to its end."""
    with os.fdopen(descriptor) as pipe:
        text = pipe.read()
    content = json.loads(text) if text else {}
    return content if isinstance(content, dict) else {}
