"""HTTP/1.1 over one connection to a runner: a request, its answer, and the next (RFC 9112)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from typing_extensions import override

__all__ = [
    "Answer",
    "Body",
    "BrokenError",
    "Connection",
    "DeniedError",
    "RefusedError",
    "Request",
    "ShortageError",
    "UpstreamError",
]

Body = bytes | AsyncIterator[bytes] | None
_MOST_WAITING = 256 * 1024
_MOST_HEAD = 1024 * 1024
_FINAL = 200  # below are interim answers
_BODILESS = frozenset({204, 304})


class UpstreamError(Exception):
    """A runner does not answer, or not in HTTP."""


class RefusedError(UpstreamError):
    """Nobody listens."""


class ShortageError(UpstreamError):
    """This process cannot open a connection now: the fault is ours, not the runner's."""


class DeniedError(UpstreamError):
    """A runner answers the request for a websocket with a status.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the runner answers the request for a websocket with {status}")


class BrokenError(UpstreamError):
    """The connection broke off."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is sent.

    Attributes:
        head: its bytes, to the empty line.
        body: what follows.
        is_chunked: whether that goes in chunks.
        is_head: whether its answer has no body.
    """

    head: bytes
    body: Body
    is_chunked: bool
    is_head: bool

    @classmethod
    def of(cls, method: str, path: str, headers: Sequence[tuple[str, str]], body: Body) -> Self:
        """Put a request together.

        Raises:
            ValueError: something in it would end a line.
        """
        lines = [f"{method} {path} HTTP/1.1", "host: runner", *(f"{n}: {v}" for n, v in headers)]
        has_length = any(name == "content-length" for name, _ in headers)
        is_chunked = not (body is None or isinstance(body, bytes) or has_length)
        if isinstance(body, bytes):
            lines.append(f"content-length: {len(body)}")
        elif is_chunked:
            lines.append("transfer-encoding: chunked")
        text = "\r\n".join(lines) + "\r\n\r\n"
        ends = len(lines) + 1
        if (text.count("\n"), text.count("\r"), lines[0].count(" ")) != (ends, ends, 2):
            message = "a header or the path of a request holds the end of a line, or a space"
            raise ValueError(message)
        return cls(text.encode("latin-1"), body, is_chunked, method == "HEAD")


class Answer:
    """A runner's answer, whose body may be on its way.

    Close it, or use it as a context: its connection is free for others then, or broken off when
    the answer is not at its end.

    Attributes:
        status: its status.
        raw_headers: as they came, names in lower case.
    """

    def __init__(
        self, status: int, raw_headers: list[tuple[bytes, bytes]], connection: "Connection"
    ) -> None:
        self.status = status
        self.raw_headers = raw_headers
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self.is_whole = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def headers(self) -> dict[str, str]:
        """Return the headers by name; one that came twice is joined by commas."""
        found: dict[str, str] = {}
        for name, value in self.raw_headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            found[key] = f"{found[key]},{text}" if key in found else text
        return found

    @property
    def content_length(self) -> int | None:
        """Return the declared length of the body; None when it comes in chunks."""
        given = self.headers.get("content-length", "")
        return int(given) if given.isdigit() and "transfer-encoding" not in self.headers else None

    async def read(self) -> bytes:
        """Return the rest of the body.

        Raises:
            UpstreamError: it broke off.
        """
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            UpstreamError: it broke off.
        """
        while True:
            if self._chunks:
                chunk = b"".join(self._chunks)
                self._chunks.clear()
                self._waiting_bytes = 0
                self._connection.go_on()
                yield chunk
            elif self._failure is not None:
                raise self._failure
            elif self.is_whole:
                return
            else:
                self._reader = asyncio.get_running_loop().create_future()
                await self._reader

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.let_go(self)

    # --- what the connection says ---

    def feed(self, chunk: bytes) -> bool:
        """Take a piece of the body; return whether that is enough for now."""
        self._chunks.append(chunk)
        self._waiting_bytes += len(chunk)
        self._wake()
        return self._waiting_bytes >= _MOST_WAITING

    def finish(self) -> None:
        """Note that the body is whole."""
        self.is_whole = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Note that no more of the body comes; what is here can be read first."""
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Connection(asyncio.Protocol):
    """One connection; one exchange at a time.

    Args:
        on_free: called when it can be used again.
        on_lost: called when it cannot any more.
    """

    def __init__(
        self, on_free: "Callable[[Connection], None]", on_lost: "Callable[[Connection], None]"
    ) -> None:
        self.is_lost = False
        self._on_free = on_free
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._head: asyncio.Future[Answer] | None = None
        self._answer: Answer | None = None
        self._pairs: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._sending: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_head = self._is_interim = self._is_paused = False
        self._stays = self._ends_by_closing = False

    # --- what the pool asks ---

    async def exchange(self, request: "Request") -> Answer:
        """Send a request; return when the head of its answer is here.

        Raises:
            UpstreamError: the connection broke off, or what came is not HTTP.
        """
        if self.is_lost:
            raise BrokenError
        self._is_head, self._stays = request.is_head, False
        self._head_bytes, self._pairs = 0, []
        self._head = self._loop.create_future()
        if request.body is None or isinstance(request.body, bytes):
            self._transport.write(request.head + (request.body or b""))
        else:
            self._transport.write(request.head)
            self._sending = asyncio.create_task(self._send(request.body, request.is_chunked))
            self._sending.add_done_callback(self._sent)
        return await self._head

    def go_on(self) -> None:
        """Read on, if reading was paused."""
        if self._is_paused and not self.is_lost:
            self._is_paused = False
            self._transport.resume_reading()

    def let_go(self, answer: Answer) -> None:
        """Be free for others, if *answer* is at its end and nothing else is on its way."""
        if self._answer is not answer:
            return
        self._answer = None
        is_sent = self._sending is None or self._sending.done()
        if self._stays and answer.is_whole and is_sent and not self.is_lost:
            self._sending = None
            self.go_on()
            self._on_free(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Break off."""
        if self._sending is not None:
            self._sending.cancel()
        if not self.is_lost:
            self._transport.abort()

    # --- what the loop says ---

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's

    @override
    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self._head_bytes += len(data)
        if self._head_bytes > _MOST_HEAD:
            self._refuse(f"its head has more than {_MOST_HEAD} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._refuse(str(error))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.resume_writing()
        if self._answer is not None and self._ends_by_closing and exc is None:
            self._answer.finish()
        else:
            self._fail(BrokenError())
        self._on_lost(self)

    @override
    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # --- what the parser says ---

    def on_message_begin(self) -> None:
        """Refuse an answer that nobody has asked for."""
        if self._head is None:
            message = "an answer without a request"
            raise ValueError(message)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header."""
        self._pairs.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand the answer over; its body follows."""
        status = self._parser.get_status_code()
        self._is_interim = status < _FINAL
        if self._is_interim:
            self._pairs = []
            return
        pairs, self._pairs = self._pairs, []  # trailers would follow
        answer = self._answer = Answer(status, pairs, self)
        framed = any(name in {b"content-length", b"transfer-encoding"} for name, _ in pairs)
        self._ends_by_closing = not framed and status not in _BODILESS and not self._is_head
        if self._is_head:
            answer.finish()
        if self._head is not None and not self._head.done():
            self._head.set_result(answer)

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of the body; stop reading when nobody takes it on."""
        if self._answer is not None and self._answer.feed(chunk) and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Note the end of an answer."""
        if not self._is_interim and self._answer is not None:
            self._head, self._stays = None, self._parser.should_keep_alive()
            self._answer.finish()

    # --- pieces ---

    async def _send(self, body: AsyncIterator[bytes], is_chunked: bool) -> None:  # noqa: FBT001 - both of a request
        """Send a body as it comes, as fast as it is read."""
        async for piece in body:
            if piece:
                self._transport.write(
                    b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece
                )
            if self._writable is not None:
                await self._writable
            if self.is_lost:
                return
        if is_chunked:
            self._transport.write(b"0\r\n\r\n")

    def _sent(self, sending: "asyncio.Task[None]") -> None:
        """End the exchange when its body cannot be had."""
        error = None if sending.cancelled() else sending.exception()
        if error is not None:
            self._fail(error)
            self.abort()

    def _refuse(self, reason: str) -> None:
        """Break off, because of what came."""
        self._fail(UpstreamError(f"not HTTP: {reason}"))
        self.abort()

    def _fail(self, error: BaseException) -> None:
        """Tell who waits for the head, or reads the body."""
        if self._head is not None and not self._head.done():
            self._head.set_exception(error)
        if self._answer is not None and not self._answer.is_whole:
            self._answer.fail(error)
