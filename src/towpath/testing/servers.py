"""A real server in a thread, on a free port of the loopback address."""

import asyncio
import inspect
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from towpath.app.definition import App
from towpath.engine.template import Templates
from towpath.gateway.server import RunningServer, run_server
from towpath.settings import load
from towpath.uploads.default import using_uploader
from towpath.uploads.in_memory import InMemoryUploader
from towpath.web.serving import run_loop

__all__ = ["Server", "memory_uploads", "serve"]

_STOP_SECONDS = 30.0
_TEMPLATES = Templates()
"""Shared by all servers of a process of tests, one after the other; it ends with the process."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that takes requests.

    Attributes:
        url: where it answers, without a slash at the end.
        running: its parts.
        loop: the event loop that it runs in.
    """

    url: str
    running: RunningServer
    loop: asyncio.AbstractEventLoop


@contextmanager
def serve(*apps: type[App] | str, **settings: object) -> Iterator[Server]:
    """Serve *apps* while the block runs; every app has been started, or has failed to.

    Args:
        apps: App classes that a module defines, or `file.py`, `file.py::Class`, `module:Class`.
        settings: settings by name; by default a free port and a fresh data directory.

    Raises:
        TowpathError: the server cannot start.
    """
    references = [app if isinstance(app, str) else _reference(app) for app in apps]
    with ExitStack() as stack:
        if "data_dir" not in settings:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="towpath-"))
            settings["data_dir"] = Path(folder)
        thread = _ServerThread(references, {"port": 0, **settings})
        thread.start()
        stack.callback(thread.stop)
        yield thread.server()


def _reference(kind: type[App]) -> str:
    """Return where a class is defined."""
    source = inspect.getsourcefile(kind)
    if source is None or "<locals>" in kind.__qualname__:
        message = (
            f"{kind.__name__} has to be defined at the top of a file, so that a runner finds it"
        )
        raise ValueError(message)
    return f"{source}::{kind.__name__}"


class _ServerThread(threading.Thread):
    """Runs the server's event loop."""

    def __init__(self, references: list[str], settings: dict[str, object]) -> None:
        super().__init__(name="towpath-server", daemon=True)
        self._references = references
        self._settings = settings
        self._up = threading.Event()
        self._server: Server | None = None
        self._failure: BaseException | None = None

    @override
    def run(self) -> None:
        """Serve until stopped."""
        try:
            settings = load(**self._settings)
            run_loop(run_server(self._references, settings, self._on_start, templates=_TEMPLATES))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        finally:
            self._up.set()

    async def _on_start(self, running: RunningServer) -> None:
        """Wait for the apps, then let the test go on."""
        await running.engine.settled()
        self._server = Server(running.settings.origin, running, asyncio.get_running_loop())
        self._up.set()

    def server(self) -> Server:
        """Return the server once it takes requests."""
        self._up.wait()
        if self._server is None:
            raise self._failure or RuntimeError
        return self._server

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        if self._server is not None:
            self._server.loop.call_soon_threadsafe(self._server.running.group.stop)
        self.join(_STOP_SECONDS)


@contextmanager
def memory_uploads() -> Iterator[None]:
    """Turn uploads into data: URIs while the block runs; no server and no store is needed."""
    with using_uploader(InMemoryUploader()):
        yield
