"""Connections to our own runners: HTTP/1.1 over a unix socket. Never for strangers.

aiohttp's client does far more than this needs, and took two fifths of the gateway's time for a
call; see docs/decisions/0008.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import yarl

from towpath.net.exchange import (
    Answer,
    Body,
    BrokenError,
    Connection,
    DeniedError,
    RefusedError,
    Request,
    ShortageError,
    UpstreamError,
)

__all__ = [
    "Answer",
    "BrokenError",
    "DeniedError",
    "RefusedError",
    "ShortageError",
    "Socket",
    "SocketKind",
    "Upstream",
    "UpstreamError",
    "is_shortage",
]

Socket = aiohttp.ClientWebSocketResponse
SocketKind = aiohttp.WSMsgType

_IDLE_SECONDS = 4.0  # a runner closes its ends much later, so that none is closed under a request
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN})
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding")


class Upstream:
    """The way to one runner; connections are kept for the next request.

    It has no time limit of its own, and gives bodies as they are.

    Args:
        socket_path: where the runner listens.
    """

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._idle: dict[Connection, float] = {}  # since when; the latest used is the last
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def request(
        self, method: str, path: str, *, headers: Sequence[tuple[str, str]] = (), data: Body = None
    ) -> Answer:
        """Send a request; return when the head of its answer is here. Close the answer.

        Args:
            method: of HTTP.
            path: with its query, as it is to be sent.
            headers: less `host` and those of the connection; `content-length` only with a body
                that comes in pieces.
            data: the body; in chunks when it comes in pieces of unknown length.

        Raises:
            ShortageError: this process has no descriptor, or no memory, for another connection.
            RefusedError: nobody listens.
            BrokenError: the runner is gone.
            UpstreamError: what it answers is not HTTP.
            ValueError: a header or the path cannot be sent.
        """
        request = Request.of(method, path, headers, data)
        connection = self._kept() or await self._connected()
        try:
            return await connection.exchange(request)
        except BaseException:
            connection.abort()
            raise

    @asynccontextmanager
    async def socket(
        self, path: str, headers: Sequence[tuple[str, str]], *, most_bytes: int
    ) -> AsyncIterator[Socket]:
        """Open a websocket until the block ends; it refuses messages larger than *most_bytes*.

        Raises:
            UpstreamError: the runner does not take it.
        """
        url = yarl.URL(f"http://runner{path}", encoded=True)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.UnixConnector(path=self._path),
                    timeout=aiohttp.ClientTimeout(total=None),
                    skip_auto_headers=_NOT_ADDED,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                ) as session,
                session.ws_connect(url, headers=headers, max_msg_size=most_bytes) as opened,
            ):
                yield opened
        except aiohttp.WSServerHandshakeError as error:
            raise DeniedError(error.status) from None
        except aiohttp.ClientError as error:
            cause = getattr(error, "os_error", None)
            kind = ShortageError if cause is not None and is_shortage(cause) else UpstreamError
            raise kind(str(error)) from None

    async def close(self) -> None:
        """Break all connections off."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self._connections):
            connection.abort()

    def _kept(self) -> Connection | None:
        """Return a connection that was used a moment ago, if there is one."""
        if self._is_closed:
            raise BrokenError
        return self._idle.popitem()[0] if self._idle else None

    async def _connected(self) -> Connection:
        """Return a new connection."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(
                lambda: Connection(self._free, self._lost), self._path
            )
        except OSError as error:
            kind = ShortageError if is_shortage(error) else RefusedError
            raise kind(str(error)) from None
        self._connections.add(connection)
        return connection

    def _free(self, connection: Connection) -> None:
        """Keep a connection for the next request, for a while."""
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(_IDLE_SECONDS, self._close_idle)

    def _lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self._idle.pop(connection, None)

    def _close_idle(self) -> None:
        """Close what was not used for a while; look again while there are others."""
        loop = asyncio.get_running_loop()
        old = [each for each, since in self._idle.items() if loop.time() - since >= _IDLE_SECONDS]
        for connection in old:
            del self._idle[connection]
            connection.abort()
        self._timer = loop.call_later(_IDLE_SECONDS, self._close_idle) if self._idle else None


def is_shortage(error: OSError) -> bool:
    """Return whether a call failed because this process or machine lacks what it needs."""
    return error.errno in _SHORTAGES
