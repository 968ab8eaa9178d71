"""A hostile web server on loopback: a path for each thing that servers do wrong."""

import contextlib
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer

from typing_extensions import override

__all__ = ["Exchange", "Origin", "origin_of"]

_MOST_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came.

    Attributes:
        path: the request target.
        headers: by name in lower case.
    """

    path: str
    headers: dict[str, str]


class Exchange:
    """One request, and the means to answer it badly.

    Attributes:
        seen: the request.
        number: how many requests of this path came before, plus one.
        open: how many requests of this path are being answered now, this one included.
        peer: the client's end of the connection.
    """

    def __init__(self, origin: "Origin", sock: socket.socket, seen: Seen) -> None:
        self.seen = seen
        self.number, self.open = origin.arrived(seen)
        self._origin = origin
        self._sock = sock
        self.peer: object = sock.getpeername()

    @property
    def range(self) -> tuple[int, int | None] | None:
        """Return the first and the last byte that a Range header asks for."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.seen.headers.get("range", ""))
        return (int(match[1]), int(match[2]) if match[2] else None) if match else None

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def head(self, status: str, **fields: str | int) -> None:
        """Send a status line and header fields; underscores in names stand for dashes."""
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.send("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1"))

    def answer(self, body: bytes, status: str = "200 OK", **fields: str | int) -> None:
        """Send a whole answer that declares its length."""
        self.head(status, Content_Length=len(body), **fields)
        self.send(body)

    def serve(
        self,
        body: bytes,
        *,
        pause: float = 0.0,
        most: int = 0,
        sent: Callable[[int], object] = lambda _: None,
        **fields: str | int,
    ) -> None:
        """Answer well, with ranges; and then badly.

        Args:
            body: the file.
            pause: seconds to wait after each 64 KiB.
            most: bytes after which the connection is closed; 0 = all of them.
            sent: told how many bytes went out, after each 64 KiB.
            fields: header fields beside the usual ones.
        """
        asked = self.range
        start, last = (0, None) if asked is None else asked
        stop = len(body) if last is None else last + 1
        fields = {"ETag": '"v1"', "Accept_Ranges": "bytes", **fields}
        if asked is None:
            self.head("200 OK", Content_Length=len(body), **fields)
        else:
            where = f"bytes {start}-{stop - 1}/{len(body)}"
            length = stop - start
            self.head("206 Partial Content", Content_Length=length, Content_Range=where, **fields)
        end = min(stop, start + most) if most else stop
        for at in range(start, end, 65536):
            piece = body[at : min(end, at + 65536)]
            self.send(piece)
            sent(len(piece))
            if pause:
                self.wait(pause)
        if end < stop:
            self.close()

    def wait(self, seconds: float) -> bool:
        """Wait; return True when the server ends meanwhile."""
        return self._origin.stopped.wait(seconds)

    def hang(self) -> None:
        """Say nothing until the client closes or the server ends."""
        self._sock.settimeout(0.1)
        with contextlib.suppress(OSError):
            while not self._origin.stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    if not self._sock.recv(1):
                        break
        self.close()

    def close(self) -> None:
        """Close the connection in good order."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Break the connection."""
        linger = struct.pack("ii", 1, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._sock.close()


@dataclass(eq=False)
class Origin:
    """A running server.

    Attributes:
        port: where it listens, on 127.0.0.1.
        seen: every request that came.
        behaviours: what is done for each path; add your own.
    """

    port: int
    behaviours: dict[str, Callable[[Exchange], None]]
    seen: list[Seen] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    _open: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        """Return the URL of *path*."""
        return f"http://127.0.0.1:{self.port}{path}"

    def requests(self, path: str) -> list[Seen]:
        """Return the requests of *path*, its query aside."""
        return [seen for seen in self.seen if seen.path.partition("?")[0] == path]

    def arrived(self, seen: Seen) -> tuple[int, int]:
        """Note a request; return its number and how many of its path are open."""
        path = seen.path.partition("?")[0]
        with self._lock:
            self.seen.append(seen)
            self._open[path] += 1
            return len(self.requests(path)), self._open[path]

    def left(self, seen: Seen) -> None:
        """Note that a request was answered."""
        with self._lock:
            self._open[seen.path.partition("?")[0]] -= 1


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    origin: Origin

    @override
    def handle_error(self, *_: object) -> None:
        """Say nothing: broken connections are what this server is for."""


class _Handler(BaseRequestHandler):
    """Reads requests and hands each to the behaviour of its path."""

    request: socket.socket
    server: _Server

    @override
    def handle(self) -> None:
        """Serve one connection."""
        origin, rest = self.server.origin, b""
        while not origin.stopped.is_set():
            while b"\r\n\r\n" not in rest:
                more = self.request.recv(_MOST_HEAD)
                if not more:
                    return
                rest += more
            head, _, rest = rest.partition(b"\r\n\r\n")
            exchange = Exchange(origin, self.request, _read(head))
            path = exchange.seen.path.partition("?")[0]
            try:
                origin.behaviours.get(path, _missing)(exchange)
            finally:
                origin.left(exchange.seen)


def _read(head: bytes) -> Seen:
    """Read a request; only our own client talks to this server."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Seen(first.split(" ")[1], {name.lower(): value.strip() for name, _, value in pairs})


def _missing(exchange: Exchange) -> None:
    """Answer 404."""
    exchange.answer(b"", "404 Not Found")


@contextmanager
def origin_of(
    behaviours: dict[str, Callable[[Exchange], None]],
    wrap: Callable[[socket.socket], socket.socket] = lambda plain: plain,
) -> Iterator[Origin]:
    """Run a server that does what *behaviours* say, while the block runs.

    Args:
        behaviours: what is done for each path.
        wrap: makes TLS of the listening socket, for example; URLs are given as http all the same.
    """
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.socket = wrap(server.socket)
        origin = Origin(int(server.server_address[1]), dict(behaviours))
        server.origin = origin
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield origin
        finally:
            origin.stopped.set()
            server.shutdown()
            thread.join()
