"""GET a stranger's URL: through the guard at every hop, redirects counted, secrets kept home."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from towpath.errors import (
    BadResponseError,
    DownloadError,
    InvalidURLError,
    SourceUnavailableError,
    TooManyRedirectsError,
)
from towpath.net.answers import Answer, Route
from towpath.net.connection import ClosedError, Connection
from towpath.net.guard import Guard
from towpath.net.heads import Head, declared_size, parse_head
from towpath.net.patience import Patience, Watch
from towpath.net.policy import Target, parse_target
from towpath.net.pool import shared_pool

__all__ = ["Origin", "checked_headers"]

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_INTERIM = 10
_FIRST_FINAL = 200
_SWITCHING = 101
_LINKED = ("x-linked-etag", "x-repo-commit")
_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "trailer"}
    | {"keep-alive", "proxy-connection", "proxy-authorization", "expect", "forwarded"}
    | {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "range", "if-range"}
    | {"if-match"}
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Opens strangers' URLs.

    Attributes:
        guard: judges and dials addresses.
        user_agent: who we say we are.
        patience: seconds to wait without a useful amount of bytes, where no watch is given.
    """

    guard: Guard
    user_agent: str
    patience: float = 15.0

    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        ask: Mapping[str, str] | None = None,
        watch: Watch | None = None,
    ) -> Answer:
        """GET *url*, following at most 5 redirects.

        Args:
            url: http or https.
            headers: the caller's; they stay with the first origin.
            ask: our own fields, such as Range and If-None-Match; they go to every hop.
            watch: how long to wait.

        Raises:
            DownloadError: one of its kinds; every hop is judged like the first URL.
        """
        target, mine = parse_target(url), checked_headers(url, headers)
        watch = watch or Watch(Patience(url, self.patience))
        first, linked = target.origin, dict[str, str]()
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._get(target, mine, ask or {}, watch)
            if answer.status not in _REDIRECTS:
                answer.linked = linked
                return answer
            location = answer.headers.get("location")
            linked |= {name: answer.headers[name] for name in _LINKED if name in answer.headers}
            answer.close()
            target = _next_hop(target, location, has_headers=bool(mine))
            if target.origin != first:
                mine = {}
        reason = f"it redirects more than {_MOST_REDIRECTS} times"
        raise TooManyRedirectsError(url, reason)

    def again(self, route: Route, ask: Mapping[str, str], watch: Watch) -> Answer:
        """GET what *route* led to once more, from the very address that answered; no redirects.

        Raises:
            DownloadError: one of its kinds.
        """
        return self._get(route.target, route.headers, ask, watch, address=route.address)

    def _get(
        self,
        target: Target,
        headers: dict[str, str],
        ask: Mapping[str, str],
        watch: Watch,
        *,
        address: str | None = None,
    ) -> Answer:
        """Send one request and read the head of its answer."""
        request = self._request(target, headers, ask)
        route = Route(target, "", headers)
        connection = shared_pool.take(self._key_of(route))
        if connection is not None and address not in {None, connection.address}:
            connection.close()
        elif connection is not None:
            try:
                return self._exchange(connection, request, route, watch)
            except ClosedError:
                watch.patience.remaining()  # closed while it waited: once more on a new one
        addresses = (address,) if address else self.guard.addresses(target)
        connection = self.guard.connect(target, addresses, watch.patience)
        return self._exchange(connection, request, route, watch)

    def _exchange(
        self, connection: Connection, request: bytes, route: Route, watch: Watch
    ) -> Answer:
        """Use *connection* for one request; it is closed when that fails."""
        target = route.target
        try:
            connection.start(watch)
            connection.send(request)
            head = _final_head(target.url, connection)
            size = declared_size(target.url, head.fields)
        except OSError as error:
            connection.close()
            if isinstance(error, DownloadError):
                raise
            reason = f"the connection broke ({error.strerror or type(error).__name__})"
            raise SourceUnavailableError(target.url, reason) from None
        except BaseException:
            connection.close()
            raise
        key = self._key_of(route)
        route = Route(target, connection.address, route.headers)
        answer = Answer(target.url, head.status, head.fields, size, route, connection)
        if head.keeps:
            answer.on_done = lambda done: shared_pool.give(key, done)
        return answer

    def _key_of(self, route: Route) -> Hashable:
        """Return what two requests have to share so that one connection serves both.

        That is also the caller's headers: some servers sign in a connection (RFC 4559).
        """
        asker = tuple(sorted(route.headers.items()))
        return (route.target.origin, self.guard.policy, self.guard.proxy, asker)

    def _request(self, target: Target, headers: Mapping[str, str], ask: Mapping[str, str]) -> bytes:
        """Write the request: ours first, the caller's after it."""
        fields = {"user-agent": self.user_agent, "accept": "*/*", "accept-encoding": "identity"}
        fields |= {name.lower(): value for name, value in headers.items()}
        fields |= {name.lower(): value for name, value in ask.items()}
        proxy = self.guard.proxy if target.scheme == "http" else None
        path = target.url if proxy is not None else target.path
        lines = [f"GET {path} HTTP/1.1", f"host: {target.authority}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        lines += proxy.header_lines() if proxy is not None else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _final_head(url: str, connection: Connection) -> Head:
    """Read heads until one is final; at most 10 interim ones come before it."""
    for _ in range(_MOST_INTERIM + 1):
        head = parse_head(url, connection.read_head())
        if head.status >= _FIRST_FINAL:
            return head
        if (
            head.status == _SWITCHING
        ):  # no interim answer: what follows is not HTTP (RFC 9110 15.2.2)
            raise BadResponseError(url, "it answered 101 to change the protocol, unasked")
    raise BadResponseError(url, f"it sends more than {_MOST_INTERIM} interim answers")


def checked_headers(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Refuse header names and values that could be taken for something else.

    Raises:
        InvalidURLError: a name is ours to set or none at all, or a value has a line break in it.
    """
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or name.lower() in _OURS:
            raise InvalidURLError(url, f"request header {name[:40]!r} may not be set")
        if re.search(r"[\x00\r\n]|[^\x00-\xff]", value):
            raise InvalidURLError(url, f"the value of request header {name} cannot be sent")
    return dict(headers)


def _as_text(location: str) -> str:
    """Return a header value as UTF-8 if it is that, else as it came."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def _next_hop(target: Target, location: str | None, *, has_headers: bool) -> Target:
    """Judge the text of a redirect."""
    if not location:
        raise BadResponseError(target.url, "it redirects to nowhere")
    try:
        following = parse_target(urljoin(target.url, _as_text(location.strip())))
    except (InvalidURLError, ValueError):
        reason = "it redirects to a URL that is not allowed (use http or https)"
        raise InvalidURLError(target.url, reason) from None
    if has_headers and target.scheme == "https" and following.scheme == "http":
        reason = "it redirects from https to http, and request headers were given"
        raise InvalidURLError(target.url, reason)
    return following
