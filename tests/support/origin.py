"""A web server on loopback: each path answers with what a test put there."""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class Reply:
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    declared: int | str | None = -1  # -1: the body's own length; None: no length at all
    raw: bytes | None = None  # bytes to send instead of everything else
    etag: str | None = None
    before: Callable[[], None] | None = None


@dataclass
class Seen:
    """A request that came."""

    path: str
    headers: dict[str, str]


class Origin:
    """A running server."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, path: str, body: bytes = b"", **reply) -> str:
        """Let *path* answer with *body*; return its URL."""
        self.replies[path.partition("?")[0]] = Reply(body, **reply)
        return self.url(path)

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(origin: Origin) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_of = origin

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Origin

    def do_GET(self) -> None:
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.server_of.seen.append(Seen(self.path, headers))
        reply = self.server_of.replies.get(self.path.partition("?")[0], Reply(status=404))
        if reply.before:
            reply.before()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._answer(reply)
        self.close_connection = True

    def _answer(self, reply: Reply) -> None:
        if reply.raw is not None:
            self.wfile.write(reply.raw)
        elif reply.etag and self.headers.get("If-None-Match") == reply.etag:
            self.send_response(304)
            self.send_header("ETag", reply.etag)
            self.end_headers()
        else:
            self._answer_whole(reply)

    def _answer_whole(self, reply: Reply) -> None:
        self.send_response(reply.status)
        if reply.declared is not None:
            size = len(reply.body) if reply.declared == -1 else reply.declared
            self.send_header("Content-Length", str(size))
        if reply.etag:
            self.send_header("ETag", reply.etag)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *args: object) -> None:
        pass


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
