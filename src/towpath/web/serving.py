"""Run ASGI apps under uvicorn, hardened: header deadline, header limits, quiet exits."""

import asyncio
import contextlib
import fcntl
import logging
import socket
import sys
import termios
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import uvicorn
from starlette.types import ASGIApp, Scope
from typing_extensions import override

from towpath.clock import system_clock
from towpath.errors import RequestError
from towpath.web.admission import PEER, ByProxy, HardenedSocket, plain_answer, refusing
from towpath.web.connections import Connections
from towpath.web.errors import problem_of
from towpath.web.large_bodies import LargeBodies
from towpath.web.zero_copy import zero_copy

__all__ = ["BrokenOffError", "Listener", "ServerGroup", "run_loop"]

T = TypeVar("T")

_HEADER_SECONDS = 20.0
_READ_SECONDS = 60.0
_LEAST_READ = 32 * 1024  # bytes in that time
_MOST_HEADER_BYTES = 64 * 1024
_MOST_HEADERS = 100
_MOST_AHEAD = 100  # requests that are sent before earlier ones are answered


class HardenedProtocol(LargeBodies):
    """uvicorn's protocol with a deadline for the headers, limits on them, and a least rate.

    Half a request would otherwise stay open for good, and so would a client that reads an answer
    byte by byte. Each connection is in the book of `Connections`.
    """

    config: "_Config"

    _deadline: asyncio.TimerHandle | None = None
    _slow: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_in_head = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self.app = zero_copy(self.app, self)
        self._mourners: list[Callable[[], None]] = []
        self._book = self.config.connections

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()
        self._book.arrive(self, self.client[0] if self.client else None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._forgive()
        self._book.leave(self)
        super().connection_lost(exc)
        for call in tuple(self._mourners):
            call()

    def when_gone(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call *call* when the client hangs up; return what takes that back."""
        self._mourners.append(call)
        return lambda: self._mourners.remove(call)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    @override
    def resume_writing(self) -> None:
        self._forgive()
        super().resume_writing()

    def dismiss(self) -> None:
        """Hang up, to make room for others; nothing is at work here."""
        self.transport.abort()

    @override
    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MOST_AHEAD:
            message = "too many requests sent ahead"
            raise ValueError(message)
        self._head_bytes, self._is_in_head = 0, True
        super().on_message_begin()
        cast("Scope", self.scope)["extensions"] = {PEER: self.client}

    @override
    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if not self._is_in_head:  # a trailer: it says nothing of the request (RFC 9110 6.5.1)
            return
        if len(self.headers) >= _MOST_HEADERS:
            message = "too many headers"
            raise ValueError(message)
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self.parser.should_upgrade() and self._should_upgrade():
            super().on_headers_complete()
            return  # the deadline holds until a body has come too
        self._disarm()
        refusal, app = self._refusal(), self.app
        if refusal is not None:
            self.app = refusing(refusal)  # chosen when the head is whole
        super().on_headers_complete()
        self.app = app
        if self.parser.should_upgrade():  # to what is not spoken here: nothing can be read after it
            self.cycle.keep_alive = False

    @override
    def handle_websocket_upgrade(self) -> None:
        self._disarm()
        refusal = self._refusal()
        if refusal is not None:
            self._answer_error(problem_of(refusal).status, refusal.told)
            return
        self._book.leave(self)
        super().handle_websocket_upgrade()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.cycle.response_complete:  # another request is at work, its head is whole
            return
        self._book.rest(self)
        if not self.transport.is_closing() and self._deadline is None:
            self._arm()

    @override
    def send_400_response(self, msg: str) -> None:
        if self.pipeline or self._is_answering():  # it would be taken for a part of that answer
            self.transport.abort()
        else:
            self._answer_error(400, msg)

    def _is_answering(self) -> bool:
        """Return whether an answer has begun that is not whole."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and cycle.response_started and not cycle.response_complete

    def _refusal(self) -> RequestError | None:
        """Return why the request whose head is whole is refused, or None."""
        refusal = self._book.begin(self)
        if refusal is not None and self.url.partition(b"?")[0] in self.config.always:
            return None
        return refusal

    def _count(self, size: int) -> None:
        """Refuse a head that is too large; the parser turns the error into a 400."""
        self._head_bytes += size
        if self._head_bytes > _MOST_HEADER_BYTES:
            message = "headers too large"
            raise ValueError(message)

    def _watch(self) -> None:
        """Look in a minute whether the client has read something meanwhile."""
        self._slow = self.loop.call_later(self.patience, self._judge, self.unread())

    def _judge(self, before: int) -> None:
        """Hang up on a client that reads too little; what is unread is dropped."""
        if self.has_read(before):
            self._watch()
        else:
            self.transport.abort()

    @property
    def patience(self) -> float:
        """Seconds in which a client has to read something."""
        return _READ_SECONDS

    def has_read(self, before: int) -> bool:
        """Return whether the client has read enough since *before* bytes were unread."""
        return before - self.unread() >= _LEAST_READ

    def unread(self) -> int:
        """Return the bytes that wait here and in the kernel, whose buffer holds megabytes."""
        waiting = bytearray(4)
        with contextlib.suppress(OSError):  # not told everywhere
            fcntl.ioctl(self.transport.get_extra_info("socket"), termios.TIOCOUTQ, waiting)
        here = self.transport.get_write_buffer_size()
        return here + int.from_bytes(waiting, sys.byteorder)

    def _forgive(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(_HEADER_SECONDS, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        """Say that the headers took too long, and hang up."""
        if not self.transport.is_closing():
            reason = f"The head of a request did not come within {_HEADER_SECONDS:g} s."
            self._answer_error(408, reason)

    def _answer_error(self, status: int, detail: str) -> None:
        """Answer without the app, in the shape of every error, and hang up."""
        self.transport.write(plain_answer(status, detail))
        self.transport.close()


class _Config(uvicorn.Config):
    """uvicorn's configuration, and what our protocols need besides.

    Attributes:
        connections: the book of connections.
        always: paths that are answered also when no other request is.
    """

    connections: Connections
    always: frozenset[bytes]


class _QuietServer(uvicorn.Server):
    """A server that leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._second = 0

    @override
    async def on_tick(self, counter: int) -> bool:
        """Let Date change with the second, not once in ten ticks."""
        before, self._second = self._second, int(system_clock())
        return await super().on_tick(0 if self._second != before else 1)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Listener:
    """An app and the socket that it answers on."""

    app: ASGIApp
    sock: socket.socket


class ServerGroup:
    """Several listeners that start and stop together.

    Args:
        listeners: the first one's lifespan runs; it owns what the others share.
        grace: seconds that requests at work may take after `stop`, or what says so then.
        trusted_proxies: peers whose forwarding headers count; others' are ignored.
        keep_alive: seconds that an idle connection stays open.
        connections: the book of connections; one of its own by default.
        always: paths that are answered also when there are too many requests.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        grace: float | Callable[[], float] = 5.0,
        trusted_proxies: Sequence[str] = (),
        keep_alive: int = 5,
        connections: Connections | None = None,
        always: Collection[str] = (),
    ) -> None:
        self._grace = grace
        logging.getLogger("uvicorn.error").addFilter(_no_known_ends)
        self._pairs: list[tuple[_QuietServer, socket.socket]] = []
        book = connections or Connections()
        for listener in listeners:
            app = ByProxy(listener.app, book) if trusted_proxies else listener.app
            config = _config(app, trusted_proxies)
            config.connections = book
            config.always = frozenset(path.encode() for path in always)
            config.timeout_keep_alive = keep_alive
            config.lifespan = "off" if self._pairs else "on"
            self._pairs.append((_QuietServer(config), listener.sock))

    async def serve(self) -> None:
        """Serve until `stop`; requests at work are finished first."""
        async with asyncio.TaskGroup() as group:
            for server, sock in self._pairs:
                group.create_task(server.serve(sockets=[sock]))

    async def started(self) -> None:
        """Return when every listener answers."""
        for server, _ in self._pairs:
            await server.up.wait()

    def descriptors(self) -> list[int]:
        """Return those of the listening sockets and of every connection."""
        found = [sock.fileno() for _, sock in self._pairs]
        for server, _ in self._pairs:
            for protocol in tuple(server.server_state.connections):
                connection = protocol.transport.get_extra_info("socket")
                found += [connection.fileno()] if connection is not None else []
        return [descriptor for descriptor in found if descriptor >= 0]

    def stop(self, *, at_once: bool = False) -> None:
        """Begin to drain; *at_once* drops what is at work."""
        grace = self._grace() if callable(self._grace) else self._grace
        for server, _ in self._pairs:
            server.config.timeout_graceful_shutdown = max(1, int(grace))
            server.should_exit = True
            server.force_exit = server.force_exit or at_once


class BrokenOffError(Exception):
    """An answer that has begun cannot be finished: raise it to break the caller's connection.

    A connection that ends in order would say that the answer is whole. Whoever raises it has
    written down why, so uvicorn's own words about it are dropped.
    """


def _no_known_ends(record: logging.LogRecord) -> bool:
    """Drop what uvicorn writes of tasks that were cancelled, and of answers that were broken off.

    Whoever ends the server, or the answer, knows it.
    """
    error = record.exc_info[1] if record.exc_info else None
    said = record.getMessage().rstrip()
    was_told = said.endswith("asyncio.exceptions.CancelledError")
    return not (isinstance(error, asyncio.CancelledError | BrokenOffError) or was_told)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* in a fresh event loop: uvloop's where it is installed, which serves faster."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop, or None for the standard library's."""
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not on every platform

        return uvloop.new_event_loop
    return None


def _config(app: ASGIApp, trusted_proxies: Sequence[str]) -> _Config:
    """Return the hardened configuration of one server."""
    return _Config(
        app,
        http=HardenedProtocol,
        ws=HardenedSocket,
        ws_max_size=2**20,
        ws_max_queue=16,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        backlog=2048,
    )
