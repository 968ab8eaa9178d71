"""HTTP towards our own runners: aiohttp over a unix socket. Never for strangers."""

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


def open_upstream(socket_path: str) -> Upstream:
    """Return a session whose every request goes to the runner behind *socket_path*.

    It has no time limit of its own, keeps bodies as they are, and takes no proxy.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(path=socket_path, limit=0, keepalive_timeout=4),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
    )


def runner_url(path: str) -> yarl.URL:
    """Return the URL of *path* at a runner; path and query go out as they came in."""
    return yarl.URL(f"http://runner{path}", encoded=True)
