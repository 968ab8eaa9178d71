"""`towpath run`: serve until Ctrl+C; once drains, twice ends."""

import asyncio
import signal
import time
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from watchfiles import PythonFilter, awatch

from towpath.app.loading import check_there, parse_reference
from towpath.cli.banner import app_lines, outcome_line, server_lines
from towpath.cli.logs import set_up_logs
from towpath.cli.outlet import Outlet, fill_descriptors
from towpath.errors import (
    AppDefinitionError,
    AppError,
    AppSetupError,
    SettingsError,
    TowpathError,
)
from towpath.gateway.server import RunningServer, run_server
from towpath.memory import freeze_heap, share_arenas
from towpath.settings import Settings, load, using
from towpath.web.serving import run_loop

__all__ = ["serve_apps"]

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 130
_UNTIL_MENDED = "Mend the file before another runner is needed: it would read it."
_SECOND = 2


def serve_apps(
    references: Sequence[str],
    flags: Mapping[str, object],
    *,
    reload: bool = False,
    open_page: bool = False,
) -> int:
    """Serve the apps; return the exit code."""
    fill_descriptors()
    share_arenas()
    outlet = Outlet()
    try:
        settings = load(**flags)
        set_up_logs(settings.log_format, settings.log_level, outlet)
        _check_first(references)
        with using(settings):
            session = _Session(references, settings, outlet, reload=reload, open_page=open_page)
            return run_loop(session.run())
    except TowpathError as error:
        outlet.say(_reason(error))
        return _USAGE if isinstance(error, SettingsError) else _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        outlet.close()


def _check_first(references: Sequence[str]) -> None:
    """Look for the files before anything is started; those that are there are served alone.

    Raises:
        AppDefinitionError: none of them is there.
    """
    missing: list[AppDefinitionError] = []
    for text in references:
        try:
            check_there(parse_reference(text))
        except AppDefinitionError as error:
            missing.append(error)
    if len(missing) == len(references):
        raise missing[0]


def _reason(error: TowpathError) -> str:
    """Say why the server cannot start; before it, the lines of the author's code that failed."""
    trace = error.traceback if isinstance(error, AppDefinitionError | AppSetupError) else ""
    return f"{trace}towpath: {error}"


class _Session:
    """One run of the server, with its signals."""

    def __init__(
        self,
        references: Sequence[str],
        settings: Settings,
        outlet: Outlet,
        *,
        reload: bool,
        open_page: bool,
    ) -> None:
        self._references = references
        self._outlet = outlet
        self._settings = settings
        self._reload = reload
        self._open_page = open_page
        self._server: RunningServer | None = None
        self._signals = 0
        self._began = time.monotonic()
        self._main: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve; return the exit code."""
        loop = asyncio.get_running_loop()
        for name in _signals():
            loop.add_signal_handler(name, self._on_signal, name)
        self._main = asyncio.create_task(
            run_server(self._references, self._settings, self._on_start), name="server"
        )
        with suppress(asyncio.CancelledError):
            await self._main
        return _INTERRUPTED if self._signals and self._interrupted else 0

    _interrupted = False

    def _on_signal(self, name: signal.Signals) -> None:
        """Drain at the first signal; end at the second."""
        self._signals += 1
        self._interrupted = self._interrupted or name == signal.SIGINT
        if self._server is None:
            if self._main is not None:
                self._main.cancel()
        elif self._signals == 1:
            self._server.group.stop()
            self._outlet.say("Finishing the requests at work; Ctrl+C again ends them.")
        else:
            self._server.group.stop(at_once=True)
            if self._signals == _SECOND:
                self._outlet.say("Ending at once; the requests at work are dropped.")
            if self._main is not None:
                self._main.cancel()

    async def _on_start(self, server: RunningServer) -> None:
        """Say where everything is, and when the apps are ready."""
        self._server = server
        self._say(server_lines(server))
        async for spec in server.engine.arriving():
            self._say(app_lines(spec, server.settings))
        await server.engine.settled()
        if self._signals:
            return  # apps that were stopped before they were ready have failed at nothing
        freeze_heap()
        self._say([outcome_line(server.engine.states(), time.monotonic() - self._began)])
        if self._open_page:
            await asyncio.to_thread(webbrowser.open, f"{server.settings.origin}/playground/")
        if self._reload:
            await self._watch(server)

    def _say(self, lines: Sequence[str]) -> None:
        """Print lines to standard output."""
        for line in lines:
            self._outlet.say(line, "out")

    async def _watch(self, server: RunningServer) -> None:
        """Load the code again whenever one of its files changes."""
        folders = _folders(self._references)
        async for changes in awatch(*folders, watch_filter=PythonFilter()):
            name = Path(min(changes)[1]).name
            self._outlet.say(f"{name} changed; loading")
            try:
                await server.engine.reload(self._references)
            except AppError as error:
                self._outlet.say(f"the running code is kept: {error} {_UNTIL_MENDED}")


def _signals() -> list[signal.Signals]:
    """Return the signals that end the server; `nohup` has it ignore that its terminal closes."""
    found = [signal.SIGINT, signal.SIGTERM]
    return found if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*found, signal.SIGHUP]


def _folders(references: Sequence[str]) -> set[Path]:
    """Return the folders of the apps' code."""
    parsed = [parse_reference(text) for text in references]
    return {Path(r.source).absolute().parent if r.is_file else Path.cwd() for r in parsed}
