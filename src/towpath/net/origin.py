"""HTTP towards strangers: one GET, guarded at every hop."""

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from towpath.errors import (
    BadResponseError,
    DownloadError,
    InvalidURLError,
    SourceUnavailableError,
    TooManyRedirectsError,
)
from towpath.net.answers import Answer, Patience, PatientSocket, declared_size
from towpath.net.guard import Guard
from towpath.net.policy import Target, parse_target

__all__ = ["Origin"]

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "trailer"}
    | {"keep-alive", "proxy-connection", "proxy-authorization", "expect", "forwarded"}
    | {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "range", "if-range"}
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Opens strangers' URLs.

    Attributes:
        guard: judges and dials addresses.
        user_agent: who we say we are.
        patience: seconds to wait without a useful amount of bytes.
    """

    guard: Guard
    user_agent: str
    patience: float = 15.0

    def open(self, url: str, headers: Mapping[str, str]) -> Answer:
        """GET *url*, following at most 5 redirects; *headers* stay with the first origin.

        Raises:
            DownloadError: one of its kinds; every hop is judged like the first URL.
        """
        target, mine = parse_target(url), _checked(url, headers)
        first = target.origin
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._get(target, mine)
            if answer.status not in _REDIRECTS:
                return answer
            location = answer.headers.get("location")
            answer.close()
            target = _next_hop(target, location, has_headers=bool(mine))
            if target.origin != first:
                mine = {}
        reason = f"it redirects more than {_MOST_REDIRECTS} times"
        raise TooManyRedirectsError(url, reason)

    def _get(self, target: Target, headers: Mapping[str, str]) -> Answer:
        """Send one request and read the head of its answer."""
        sock = PatientSocket(self.guard.dial(target), Patience(target.url, self.patience))
        try:
            sock.sendall(self._request(target, headers))
            raw = http.client.HTTPResponse(sock, method="GET")  # type: ignore[arg-type]
            raw.begin()
            size = declared_size(target.url, raw.msg)
        except Exception as error:  # noqa: BLE001 - whatever a stranger provokes
            sock.close()
            raise _as_ours(target.url, error) from None
        return Answer(target.url, raw.status, raw.msg, size, raw, sock)

    def _request(self, target: Target, headers: Mapping[str, str]) -> bytes:
        """Write the request: ours first, the caller's after it."""
        fields = {"user-agent": self.user_agent, "accept": "*/*", "accept-encoding": "identity"}
        fields |= {name.lower(): value for name, value in headers.items()}
        lines = [f"GET {target.path} HTTP/1.1", f"host: {target.authority}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return ("\r\n".join([*lines, "connection: close"]) + "\r\n\r\n").encode("latin-1")


def _checked(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Refuse header names and values that could be taken for something else."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or name.lower() in _OURS:
            raise InvalidURLError(url, f"request header {name[:40]!r} may not be set")
        if re.search(r"[\x00\r\n]|[^\x00-\xff]", value):
            raise InvalidURLError(url, f"the value of request header {name} cannot be sent")
    return dict(headers)


def _next_hop(target: Target, location: str | None, *, has_headers: bool) -> Target:
    """Judge the text of a redirect."""
    if not location:
        raise BadResponseError(target.url, "it redirects to nowhere")
    try:
        following = parse_target(urljoin(target.url, location.strip()))
    except (InvalidURLError, ValueError):
        reason = "it redirects to a URL that is not allowed (use http or https)"
        raise InvalidURLError(target.url, reason) from None
    if has_headers and target.scheme == "https" and following.scheme == "http":
        reason = "it redirects from https to http, and request headers were given"
        raise InvalidURLError(target.url, reason)
    return following


def _as_ours(url: str, error: Exception) -> Exception:
    """Turn what the standard library raises into one of our errors."""
    if isinstance(error, DownloadError):
        return error
    if isinstance(error, http.client.RemoteDisconnected):
        return SourceUnavailableError(url, "the server closed the connection without an answer")
    if isinstance(error, http.client.HTTPException | ValueError | UnicodeError):
        return BadResponseError(url, "its answer is not HTTP")
    if isinstance(error, OSError):
        reason = f"the connection broke ({error.strerror or type(error).__name__})"
        return SourceUnavailableError(url, reason)
    return error
