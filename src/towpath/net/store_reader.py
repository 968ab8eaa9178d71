"""Bodies of an object store by its signed URLs: aiohttp, one session for a server.

The URLs are made by us for the store that the operator names; never a stranger's.
"""

from collections.abc import AsyncIterator

import aiohttp
import yarl

from towpath.errors import ObjectNotFoundError, StoreUnusableError

__all__ = ["StoreBody", "StoreReader"]

_BUFFER = 256 * 1024
_CONNECT_SECONDS = 5
_SILENT_SECONDS = 60
_GONE = 404
_WHOLE, _PART = 200, 206


class StoreReader:
    """Reads parts of objects in the event loop: no thread waits for a store that is slow."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(self, url: str, start: int, stop: int) -> "StoreBody":
        """Ask for some bytes, *start* to *stop* (excluded), of the object behind *url*.

        Raises:
            ObjectNotFoundError: it is not there.
            StoreUnusableError: the store does not answer as it should.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        try:
            answer = await self._opened().get(
                yarl.URL(url, encoded=True), headers=headers, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unusable(type(error).__name__) from None
        if answer.status == _GONE:
            answer.close()
            raise ObjectNotFoundError("")
        is_right = answer.status == _PART or (answer.status == _WHOLE and start == 0)
        if not is_right or answer.content_length != stop - start:
            answer.close()
            raise _unusable(f"status {answer.status} with {answer.content_length} bytes")
        return StoreBody(answer)

    async def close(self) -> None:
        """Close its connections."""
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


def _unusable(what: str) -> StoreUnusableError:
    return StoreUnusableError(f"The store does not answer as it should ({what}). Try again.")
