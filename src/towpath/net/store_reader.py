"""Bodies of an object store by its signed URLs: sockets for plain HTTP, aiohttp for TLS.

The URLs are made by us for the store that the operator names; never a stranger's.
"""

from collections.abc import AsyncIterator

import aiohttp
import yarl

from towpath.errors import BadResponseError, ObjectNotFoundError, StoreUnusableError
from towpath.net.store_socket import SocketBody, StoreSockets

__all__ = ["StoreBody", "StoreReader"]

_BUFFER = 256 * 1024
_CONNECT_SECONDS = 5
_SILENT_SECONDS = 60
_GONE = 404
_PLAIN = "http:"
_WHOLE, _PART = 200, 206


class StoreReader:
    """Reads parts of objects in the event loop: no thread waits for a store that is slow."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._sockets = StoreSockets(_SILENT_SECONDS)

    async def open(self, url: str, start: int, stop: int) -> "StoreBody | SocketBody":
        """Ask for some bytes, *start* to *stop* (excluded), of the object behind *url*.

        Raises:
            ObjectNotFoundError: it is not there.
            StoreUnusableError: the store does not answer as it should.
        """
        if url.startswith(_PLAIN):
            return await self._opened_plainly(url, start, stop)
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        try:
            answer = await self._opened().get(
                yarl.URL(url, encoded=True), headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unusable(type(error).__name__) from None
        try:
            _check(answer.status, answer.content_length, start, stop)
        except BaseException:
            answer.close()
            raise
        return StoreBody(answer)

    async def _opened_plainly(self, url: str, start: int, stop: int) -> SocketBody:
        """Ask over a socket of our own."""
        try:
            head, body = await self._sockets.get(url, start, stop)
        except (OSError, TimeoutError, BadResponseError) as error:
            raise _unusable(type(error).__name__) from None
        size = None if body is None else len(body.begun) + body.left
        try:
            _check(head.status, size, start, stop)
        except BaseException:
            if body is not None:
                body.close()
            raise
        if body is None:  # no length: it was refused
            raise _unusable("no length")
        return body

    async def close(self) -> None:
        """Close its connections."""
        self._sockets.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=10),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                read_bufsize=_BUFFER,
            )
        return self._session


class StoreBody:
    """A body on its way; close it, whatever happens."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield it as it comes.

        Raises:
            StoreUnusableError: it broke off.
        """
        try:
            async for piece in self._answer.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unusable(type(error).__name__) from None

    def close(self) -> None:
        """Let it go; a connection whose body was read to its end is kept."""
        self._answer.release()


def _check(status: int, size: int | None, start: int, stop: int) -> None:
    """Refuse an answer that is not what was asked for.

    Raises:
        ObjectNotFoundError: it is not there.
        StoreUnusableError: it is something else.
    """
    if status == _GONE:
        raise ObjectNotFoundError("")
    is_right = status == _PART or (status == _WHOLE and start == 0)
    if not is_right or size != stop - start:
        raise _unusable(f"status {status} with {size} bytes")


def _unusable(what: str) -> StoreUnusableError:
    return StoreUnusableError(f"The store does not answer as it should ({what}). Try again.")
