"""Bodies of an object store over plain HTTP, by sockets that the kernel can pass on by itself.

For URLs that we made for the store that the operator names; never a stranger's.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from towpath.errors import StoreUnusableError
from towpath.net.heads import Head, declared_size, parse_head

__all__ = ["SocketBody", "StoreSockets"]

_CONNECT_SECONDS = 5
_IDLE_SECONDS = 10
_MOST_IDLE = 64
_FIRST = 2048  # enough for a head: what comes behind it need not be copied
_MOST_HEAD = 64 * 1024
_PIECE = 256 * 1024
_WORTH_WAKING = 256 * 1024
_GATHERING_SECONDS = 0.25

Place = tuple[str, int]


class StoreSockets:
    """Connections to a store, kept for the next request.

    Args:
        silent: seconds after which a store that sends nothing is given up.
    """

    def __init__(self, silent: float) -> None:
        self._silent = silent
        self._idle: dict[Place, list[tuple[float, socket.socket]]] = {}

    async def get(self, url: str, start: int, stop: int) -> tuple[Head, "SocketBody | None"]:
        """Ask for some bytes; return the head, and the body where its length is told.

        Raises:
            OSError, TimeoutError: the store is not there, or silent.
            BadResponseError: what it says is not HTTP.
        """
        parts = urlsplit(url)
        place = (parts.hostname or "", parts.port or 80)
        request = _request(parts, start, stop)
        while (kept := self._kept(place)) is not None:
            try:
                return await self._asked(kept, place, url, request)
            except ConnectionError:
                continue  # it was closed meanwhile
        return await self._asked(await _dialled(place), place, url, request)

    def close(self) -> None:
        """Close what waits."""
        idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for _, sock in waiting:
                sock.close()

    async def _asked(
        self, sock: socket.socket, place: Place, url: str, request: bytes
    ) -> tuple[Head, "SocketBody | None"]:
        """Send a request; return its answer. A socket of which none comes is closed."""
        try:
            async with asyncio.timeout(self._silent):
                await _send(sock, request)
                data, end = await _head_from(sock)
            head = parse_head(url, data[:end])
            size = declared_size(url, head.fields)
        except BaseException:
            sock.close()
            raise
        if size is None or len(data) - end > size:
            sock.close()
            return head, None
        give = (lambda: self._keep(place, sock)) if head.keeps else sock.close
        return head, SocketBody(sock, data[end:], size, silent=self._silent, give=give)

    def _kept(self, place: Place) -> socket.socket | None:
        """Return the connection that was used last, if it is still open and quiet."""
        waiting = self._idle.get(place, [])
        while waiting:
            since, sock = waiting.pop()
            if time.monotonic() - since < _IDLE_SECONDS and _is_quiet(sock):
                return sock
            sock.close()
        return None

    def _keep(self, place: Place, sock: socket.socket) -> None:
        """Keep a connection, unless there are enough."""
        waiting = self._idle.setdefault(place, [])
        waiting.append((time.monotonic(), sock))
        if len(waiting) > _MOST_IDLE:
            waiting.pop(0)[1].close()


class SocketBody:
    """A body on its way; close it, whatever happens.

    Attributes:
        begun: what came with its head.
        left: bytes that are still to come after that; who reads them counts them.
    """

    def __init__(
        self,
        sock: socket.socket,
        begun: bytes,
        size: int,
        *,
        silent: float,
        give: Callable[[], None],
    ) -> None:
        self.begun = begun
        self.left = size - len(begun)
        self._sock = sock
        self._silent = silent
        self._give = give
        self._awake_at = 1

    def fileno(self) -> int:
        """Return the descriptor of the socket that it comes from."""
        return self._sock.fileno()

    async def readable(self) -> None:
        """Wait until there is something to read, or the end.

        Raises:
            StoreUnusableError: the store is silent.
        """
        ready, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake_at(min(_WORTH_WAKING, self.left))
        loop.add_reader(self._sock, ready.set)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHERING_SECONDS):
                    await ready.wait()
                return
            self._wake_at(1)  # it is slow: what there is goes on
            async with asyncio.timeout(self._silent):
                await ready.wait()
        except TimeoutError:
            raise _broken(f"it sent nothing for {self._silent:g} s") from None
        finally:
            loop.remove_reader(self._sock)

    def _wake_at(self, size: int) -> None:
        """Wait for so many bytes at once: to be woken for each segment costs more than they do."""
        if size != self._awake_at:
            self._awake_at = size
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def count(self, size: int) -> None:
        """Note that so many bytes were read.

        Raises:
            StoreUnusableError: none were: it broke off.
        """
        if not size:
            raise _broken(f"{self.left} bytes were still to come")
        self.left -= size

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it as it comes.

        Raises:
            StoreUnusableError: it broke off.
        """
        if self.begun:
            yield self.begun
        while self.left:
            try:
                piece = self._sock.recv(min(_PIECE, self.left))
            except BlockingIOError:
                await self.readable()
                continue
            except OSError as error:
                raise _broken(type(error).__name__) from None
            self.count(len(piece))
            yield piece

    def close(self) -> None:
        """Let it go; a connection whose body was read to its end is kept."""
        if self._sock.fileno() < 0:
            return
        if self.left:
            self._sock.close()
        else:
            self._wake_at(1)
            self._give()
            self._give = lambda: None


def _request(parts: SplitResult, start: int, stop: int) -> bytes:
    """Return the request for a part.

    Raises:
        UnicodeEncodeError: the URL is not encoded; ours are.
    """
    lines = (
        f"GET {parts.path or '/'}?{parts.query} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Range: bytes={start}-{stop - 1}",
        "Accept-Encoding: identity",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


async def _send(sock: socket.socket, data: bytes) -> None:
    """Send what is small: it goes at once, and the loop is asked for help only if it does not.

    Raises:
        OSError: the connection is gone.
    """
    try:
        sent = sock.send(data)
    except BlockingIOError:
        sent = 0
    if sent < len(data):
        await asyncio.get_running_loop().sock_sendall(sock, data[sent:])


async def _head_from(sock: socket.socket) -> tuple[bytes, int]:
    """Return what came, and where the head in it ends.

    Raises:
        ConnectionError: nothing came, or only a part of a head, or a head without end.
    """
    loop, data = asyncio.get_running_loop(), b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = await loop.sock_recv(sock, _FIRST)
        if not more or len(data) > _MOST_HEAD:
            raise ConnectionResetError
        data += more
    return data, end + 4


async def _dialled(place: Place) -> socket.socket:
    """Return a connection to the first address that takes one.

    Raises:
        OSError, TimeoutError: there is none.
    """
    loop = asyncio.get_running_loop()
    failure: Exception = ConnectionError()
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        *place, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(0)  # it does not block
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.sock_connect(sock, address)
        except (OSError, TimeoutError) as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _is_quiet(sock: socket.socket) -> bool:
    """Return whether nothing was said since: more of an answer, or its end."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _broken(what: str) -> StoreUnusableError:
    return StoreUnusableError(f"The store's answer broke off: {what}. Try again.")
