"""Files from the page cache to the socket without a copy: ASGI's zerocopysend under uvicorn.

uvicorn does not have the extension (https://asgi.readthedocs.io/en/latest/extensions.html). Where
it, the loop or the system is not as expected, the extension is not offered, and files go out as
ordinary bodies.
"""

import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from towpath.concurrency import in_thread
from towpath.web.joint import Joint

__all__ = ["ARRIVED", "EXTENSION", "GONE", "LINES", "SPLICE", "Connection", "Source", "zero_copy"]

EXTENSION = "http.response.zerocopysend"
LINES = "towpath.lines"
"""With it `http.response.start` takes `lines`, the header lines as they are sent, all but those in
`headers`, and `length`, their content-length. Who sends them vouches for every byte."""

SPLICE = "towpath.splice"
"""With it a message of this type has a `source`: all that is left of it goes on to the client,
without a copy (splice(2))."""

ARRIVED = "towpath.arrived"
"""Its value says whether something of the request is here, so that `receive` waits for nothing."""

GONE = "towpath.gone"
"""Its value takes a function to call when the client hangs up, and returns what takes it back."""

_IS_POSSIBLE = sys.platform == "linux" and hasattr(os, "RWF_NOWAIT")
_MORE = getattr(socket, "MSG_MORE", 0)
_CAN_SPLICE = _IS_POSSIBLE and hasattr(os, "splice")
_PIECE = 1024 * 1024
_MOST_PIPES = 32
_PROBES = 256 * 1024
_TICK = 0.001
_LONGEST_TICK = 0.1


class Connection(Protocol):
    """What is asked of the protocol of a connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    def when_gone(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call *call* when the client hangs up; return what takes that back."""

    def unread(self) -> int:
        """Return the bytes that the client has not taken yet."""

    def has_read(self, before: int) -> bool:
        """Return whether it has taken enough since *before* were unread."""

    @property
    def patience(self) -> float:
        """Seconds between two looks."""


class Source(Protocol):
    """A body that comes over a socket.

    Attributes:
        begun: what was read of it already.
        left: bytes that come after that.
    """

    begun: bytes
    left: int

    def fileno(self) -> int:
        """Return the socket's descriptor, which does not block."""

    async def readable(self) -> None:
        """Wait until there is something to read."""

    def count(self, size: int) -> None:
        """Note that so many bytes were read; none is an error."""


def zero_copy(app: ASGIApp, connection: Connection) -> ASGIApp:
    """Return *app* with the extension for what comes over *connection*."""

    async def extended(scope: Scope, receive: Receive, send: Send) -> None:
        cycle: Any = getattr(send, "__self__", None)
        if scope["type"] != "http" or not hasattr(cycle, "expected_content_length"):
            await app(scope, receive, send)
            return

        joint = cycle.transport = Joint(connection.transport, connection.loop)

        async def sending(message: Message) -> None:
            if message["type"] in {EXTENSION, SPLICE}:
                begin = _send_file if message["type"] == EXTENSION else _send_on
                await begin(connection, cycle, message, joint.take())
            elif message["type"] != "http.response.start":
                await send(message)
            elif "lines" in message and _is_plain(cycle):
                joint.hold(_head_of(cycle, message))
            else:
                await _begun(message, send, joint)

        offered = {EXTENSION: {}, LINES: {}, GONE: connection.when_gone}
        offered[ARRIVED] = cycle.message_event.is_set
        offered |= {SPLICE: {}} if _CAN_SPLICE else {}
        scope.setdefault("extensions", {}).update(offered)
        await app(scope, receive, sending)

    return extended if _IS_POSSIBLE else app


async def _begun(message: Message, send: Send, joint: Joint) -> None:
    """Have uvicorn put a head together; it leaves with what follows."""
    if "lines" in message:
        headers = [*message["headers"], *_pairs(message["lines"])]
        message = {**message, "headers": headers}
    joint.is_holding = True
    try:
        await send(message)
    finally:
        joint.is_holding = False


def _is_plain(cycle: Any) -> bool:  # noqa: ANN401 - uvicorn's
    """Return whether a head may be written by itself, without all that uvicorn looks at."""
    is_open = not cycle.disconnected and not cycle.flow.write_paused
    return is_open and not cycle.response_started and not cycle.access_log


def _head_of(cycle: Any, message: Message) -> bytes:  # noqa: ANN401 - as above
    """Return the head of an answer whose lines are ready; looking at each again would take long."""
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    cycle.expected_content_length, cycle.chunked_encoding = message["length"], False
    others = (b"%b: %b\r\n" % pair for pair in (*cycle.default_headers, *message["headers"]))
    end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
    return b"".join((_status_line(message["status"]), *others, message["lines"], end))


@cache
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


def _pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Return header lines as ASGI has them."""
    found = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in found]


async def _send_file(connection: Connection, cycle: Any, message: Message, head: bytes) -> None:  # noqa: ANN401 - uvicorn's
    """Send part of a file."""
    source = message["file"] if isinstance(message["file"], int) else message["file"].fileno()
    offset, count = message["offset"], message["count"]
    cycle.expected_content_length -= count
    await _sent_on(connection, head, lambda out: _Copy(connection, out, source).run(offset, count))


async def _send_on(connection: Connection, cycle: Any, message: Message, head: bytes) -> None:  # noqa: ANN401 - uvicorn's
    """Send what another socket receives."""
    source: Source = message["source"]
    cycle.expected_content_length -= len(source.begun) + source.left
    await _sent_on(
        connection, head + source.begun, lambda out: _Passage(connection, out).run(source)
    )


async def _sent_on(
    connection: Connection, head: bytes, work: Callable[[int], Coroutine[Any, Any, None]]
) -> None:
    """Send *head*, then what *work* writes; a client that left is no error, as in uvicorn."""
    if not await _flushed(connection):
        return
    own = connection.transport.get_extra_info("socket")
    # the loop watches the socket itself for its transport
    with socket.socket(own.family, own.type, own.proto, os.dup(own.fileno())) as out:
        try:
            if head:
                await _Way(connection, out.fileno()).begin(out, head)
            await work(out.fileno())
        except (ConnectionError, TimeoutError):
            connection.transport.abort()
            await asyncio.sleep(0)


async def _flushed(connection: Connection) -> bool:
    """Wait until the head is in the kernel; return False for a client that left or is too slow."""
    transport, wait = connection.transport, 0.0
    if not transport.get_write_buffer_size() and not transport.is_closing():
        return True
    before, look = 0, 0.0
    while not transport.is_closing():
        if not look:
            before, look = connection.unread(), connection.loop.time() + connection.patience
        if not transport.get_write_buffer_size():
            return True
        await asyncio.sleep(wait)
        wait = min(wait * 2 or _TICK, _LONGEST_TICK)
        if connection.loop.time() >= look:
            if not connection.has_read(before):
                transport.abort()
            before, look = connection.unread(), connection.loop.time() + connection.patience
    return False


class _Way:
    """The way to one socket."""

    def __init__(self, connection: Connection, out: int) -> None:
        self._connection = connection
        self._out = out

    async def begin(self, out: socket.socket, head: bytes) -> None:
        """Send what comes before; it leaves with the first bytes of the file.

        Raises:
            ConnectionError: the client has left.
            TimeoutError: it reads too slowly.
        """
        left = memoryview(head)
        while left:
            try:
                left = left[out.send(left, _MORE) :]
            except BlockingIOError:
                await self.writable()

    async def writable(self) -> None:
        """Wait until the socket takes more.

        Raises:
            TimeoutError: the client reads next to nothing.
        """
        ready, loop = asyncio.Event(), self._connection.loop
        loop.add_writer(self._out, ready.set)
        try:
            while True:
                before = self._connection.unread()
                try:
                    await asyncio.wait_for(ready.wait(), self._connection.patience)
                except TimeoutError:
                    if not self._connection.has_read(before):
                        raise
                else:
                    return
        finally:
            loop.remove_writer(self._out)


class _Copy(_Way):
    """One part of a file on its way to one socket."""

    def __init__(self, connection: Connection, out: int, source: int) -> None:
        super().__init__(connection, out)
        self._source = source

    async def run(self, offset: int, count: int) -> None:
        """Send *count* bytes from *offset* on.

        Raises:
            ConnectionError: the client has left.
            TimeoutError: it reads too slowly.
            OSError: the file cannot be read, or is too short.
        """
        stop = offset + count
        while offset < stop:
            if self._connection.transport.is_closing():
                raise ConnectionAbortedError
            size = min(_PIECE, stop - offset)
            try:
                sent = await self._sent(offset, size)
            except BlockingIOError:
                await self.writable()
                continue
            if not sent:
                message = "a stored file is shorter than its record"
                raise OSError(message)
            offset += sent

    async def _sent(self, offset: int, size: int) -> int:
        """Send what the socket takes: at once from memory, in a thread from the disk."""
        if _is_cached(self._source, offset, size):
            return os.sendfile(self._out, self._source, offset, size)
        with suppress(OSError):  # a hint
            os.posix_fadvise(self._source, offset, 8 * _PIECE, os.POSIX_FADV_WILLNEED)
        return await in_thread(os.sendfile)(self._out, self._source, offset, size)


class _Passage(_Way):
    """What comes over one socket on its way to another, by a pipe: nothing of it is copied."""

    async def run(self, source: Source) -> None:
        """Send all that is left of *source*.

        Raises:
            ConnectionError: the client has left.
            TimeoutError: it reads too slowly.
            TowpathError: the source broke off.
        """
        with _pipe() as pipe:
            while source.left or pipe.held:
                if self._connection.transport.is_closing():
                    raise ConnectionAbortedError
                if not pipe.held:
                    await pipe.fill(source)
                try:
                    pipe.empty(self._out)
                except BlockingIOError:
                    await self.writable()


class _Pipe:
    """A pipe.

    Attributes:
        held: the bytes in it.
    """

    def __init__(self) -> None:
        self._exit, self._entry = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with suppress(OSError):  # a user may have only so much in pipes; a small one does too
            fcntl.fcntl(self._entry, fcntl.F_SETPIPE_SZ, _PIECE)
        self.held = 0

    async def fill(self, source: Source) -> None:
        """Wait for something of *source*.

        Raises:
            TowpathError: it broke off.
        """
        while not self.held:
            try:
                size = _spliced(source.fileno(), self._entry, min(_PIECE, source.left))
            except BlockingIOError:
                await source.readable()
                continue
            except OSError:  # the source's, not the client's
                size = 0
            source.count(size)
            self.held = size

    def empty(self, out: int) -> None:
        """Send what *out* takes."""
        self.held -= _spliced(self._exit, out, self.held)

    def close(self) -> None:
        """Close it."""
        os.close(self._exit)
        os.close(self._entry)


_pipes: list[_Pipe] = []  # empty ones, for the next body


@contextmanager
def _pipe() -> Iterator[_Pipe]:
    """Lend a pipe; what still holds something afterwards is of no use to others."""
    pipe = _pipes.pop() if _pipes else _Pipe()
    try:
        yield pipe
    finally:
        if pipe.held or len(_pipes) >= _MOST_PIPES:
            pipe.close()
        else:
            _pipes.append(pipe)


def _spliced(source: int, target: int, size: int) -> int:
    return os.splice(source, target, size, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)


def _is_cached(source: int, offset: int, size: int) -> bool:
    """Return whether a part of a file seems to be in memory, by a byte of each 256 KiB."""
    probe = bytearray(1)
    try:
        for at in (*range(offset, offset + size, _PROBES), offset + size - 1):
            os.preadv(source, [probe], at, os.RWF_NOWAIT)
    except OSError:
        return False
    return True
