"""HTTP towards our own runners: aiohttp over a unix socket. Never for strangers."""

from functools import lru_cache
from typing import Any

import aiohttp
import yarl

__all__ = [
    "Answer",
    "Broken",
    "Refused",
    "Socket",
    "SocketKind",
    "Upstream",
    "UpstreamError",
    "open_upstream",
    "runner_url",
    "send_request",
]

Upstream = aiohttp.ClientSession
Answer = aiohttp.ClientResponse
Socket = aiohttp.ClientWebSocketResponse
SocketKind = aiohttp.WSMsgType
UpstreamError = aiohttp.ClientError
Refused = aiohttp.ClientConnectorError
Broken = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientPayloadError,  # the answer broke off
)

_NOT_ADDED = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")
_SHORT = 200  # characters of a path that is likely to come again


def open_upstream(socket_path: str) -> Upstream:
    """Return a session whose every request goes to the runner behind *socket_path*.

    It has no time limit of its own, keeps bodies as they are, adds no headers that only clients
    have, and takes no proxy.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(path=socket_path, limit=0, keepalive_timeout=4),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        auto_decompress=False,
        skip_auto_headers=_NOT_ADDED,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
    )


async def send_request(
    upstream: Upstream,
    method: str,
    path: str,
    **options: Any,  # noqa: ANN401 - aiohttp's own
) -> Answer:
    """Send a request to a runner; return when the head of its answer is here.

    Raises:
        UpstreamError: the runner does not answer, or is gone, and its session with it.
    """
    try:
        return await upstream.request(method, runner_url(path), allow_redirects=False, **options)
    except (RuntimeError, ConnectionError) as error:
        if isinstance(error, UpstreamError) or not (upstream.closed or isinstance(error, OSError)):
            raise
        raise aiohttp.ServerDisconnectedError from None


def runner_url(path: str) -> yarl.URL:
    """Return the URL of *path* at a runner; path and query go out as they came in."""
    return _remembered(path) if len(path) <= _SHORT else _url(path)


def _url(path: str) -> yarl.URL:
    return yarl.URL(f"http://runner{path}", encoded=True)


_remembered = lru_cache(maxsize=512)(_url)
