"""Who may call: keys in the Authorization header, and origins of browsers."""

import hmac
import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from towpath.errors import ForbiddenError, MissingKeyError, MissingTokenError, TowpathError
from towpath.errors.redaction import shown
from towpath.gateway.addresses import needs_no_key
from towpath.gateway.answers import error_answer
from towpath.gateway.entrance import address_of
from towpath.gateway.hosts import is_loopback_name, name_in
from towpath.settings import Settings

__all__ = [
    "AdminGuard",
    "KeyGuard",
    "allowed_origins",
    "is_fronted",
    "is_operated",
    "is_operator",
    "is_origin_allowed",
    "is_private",
    "origin_of",
]

_ADVICE = "Allow them with TOWPATH_CORS_ORIGINS, or set keys."
_PLAIN = " !#$&'()*+,/;=?@[]^`{|}<>"
_SCHEMES = frozenset({"key", "bearer"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXIED = re.compile(
    r"(^|[-_])forwarded|(client|connecting|real|remote)[-_](ip|addr)|^via$|^cdn-|^x-envoy-"
)
"""What proxies and CDNs add to requests."""


def allowed_origins(settings: Settings) -> tuple[str, ...]:
    """Return the origins that browsers may call from; `*` = any, empty = loopback pages."""
    if settings.cors_origins:
        return settings.cors_origins
    return ("*",) if settings.keys else ()


def is_origin_allowed(origin: str, settings: Settings) -> bool:
    """Return whether a page of *origin* may call."""
    allowed = allowed_origins(settings)
    if "*" in allowed or origin in allowed:
        return True
    if settings.public_url and origin == origin_of(settings.public_url):
        return True
    return not settings.cors_origins and is_loopback_name(_host_of(origin) or "")


def origin_of(url: str) -> str:
    """Return scheme, host and port of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class KeyGuard:
    """ASGI middleware: lets callers with a key pass, or everybody when there are no keys.

    A page of a foreign origin may not make a server without keys work, whatever the browser
    lets it send.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request or websocket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (error_answer(refusal) if refusal else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> TowpathError | None:
        """Return why this call is refused, or None."""
        headers = Headers(scope=scope)
        if self._settings.keys:
            caller = self._caller(headers)
            if caller is not None:
                scope["state"]["caller"] = caller
                return None
            is_free = _is_open(scope) or self._may_scrape(scope)
            return None if is_free else MissingKeyError(_unknown_id(headers))
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if origin and changes and not is_origin_allowed(origin, self._settings):
            message = f"Pages of {shown(origin, 80)} may not call this server."
            return ForbiddenError(message, advice=_ADVICE)
        return None

    def _may_scrape(self, scope: Scope) -> bool:
        """Return whether this is the operator, who asks for metrics."""
        is_asked = address_of(scope).path == "/metrics"
        return is_asked and _has_token(Headers(scope=scope), self._settings)

    def _caller(self, headers: Headers) -> str | None:
        """Return the id of the key in the Authorization header, None if it holds none of ours."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() not in _SCHEMES:
            return None
        return _holder_of(given.strip().encode(), self._settings.keys)


class AdminGuard:
    """ASGI middleware: lets the operator pass.

    That is whoever has the token. Without a token it is whoever calls from this machine, and the
    server has to know that by itself: a proxy on the same machine hands strangers' requests on from
    a loopback address, under a loopback Host and without a word of the stranger, which is what
    nginx's `proxy_pass` does by default. So nothing in a request can show that it is local, and
    without a token these routes are closed as soon as a setting says that others call: keys, a
    public URL, other host names, a front, trusted proxies. What a request shows can only close
    them, for pages of other sites and for proxies that name themselves.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._is_private = is_private(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (error_answer(refusal) if refusal else self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> TowpathError | None:
        """Return why a call is refused, or None."""
        if is_operator(scope, self._settings, private=self._is_private):
            return None
        if self._settings.admin_token is not None:
            return MissingTokenError()
        return ForbiddenError(
            "The operator's routes are closed here.",
            advice="They answer with TOWPATH_ADMIN_TOKEN, sent as Authorization: Bearer <token>; "
            "without it only to this machine, while the server has a loopback address, no keys, "
            "no public URL, no other host names, no front and no trusted proxies.",
        )


def is_operator(scope: Scope, settings: Settings, *, private: bool) -> bool:
    """Return whether a call is the operator's.

    Args:
        scope: of the call.
        settings: in force.
        private: what `is_private` says of them.
    """
    if settings.admin_token is not None:
        return _has_token(Headers(scope=scope), settings)
    return private and _is_local(scope)


def is_operated(settings: Settings) -> bool:
    """Return whether anybody can call the operator's routes."""
    return settings.admin_token is not None or is_private(settings)


def is_private(settings: Settings) -> bool:
    """Return whether the settings leave no way for others to call this server."""
    return settings.is_loopback and not settings.keys and not is_fronted(settings)


def is_fronted(settings: Settings) -> bool:
    """Return whether the settings say that a proxy passes others' calls on to this server."""
    urls = (settings.origin, settings.files_origin)
    names = (*(_host_of(url) or "" for url in urls), *settings.host_names)
    if not all(is_loopback_name(name.lower().rstrip(".")) for name in names):
        return True
    return bool(settings.trusted_proxies or settings.front_prefix)


def _has_token(headers: Headers, settings: Settings) -> bool:
    """Return whether a call has the operator's token."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    token = settings.admin_token
    is_right = token is not None and hmac.compare_digest(given.strip().encode(), token.encode())
    return is_right and scheme.lower() == "bearer"


def _is_local(scope: Scope) -> bool:
    """Return whether a call shows no sign of a proxy or of a page of another site.

    A proxy that names itself nowhere may still ask by HTTP/1.0, as nginx does until 1.29.7 where it
    is not told otherwise; browsers, curl and our own command do not.
    """
    headers = Headers(scope=scope)
    if scope["http_version"] == "1.0" or any(map(_PROXIED.search, headers)):
        return False
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin", "same-site"}:
        return False
    origin = headers.get("origin")
    return is_loopback_name(name_in(headers.get("host", ""))) and (
        origin is None or is_loopback_name(_host_of(origin) or "")
    )


def _host_of(address: str) -> str | None:
    """Return the name in an address, None if it has none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _holder_of(offered: bytes, keys: Sequence[str]) -> str | None:
    """Return the id of the key that is offered; compares with every key, in constant time.

    The id is what stays when a secret is replaced. It is made fit for a header.
    """
    matches = [key for key in keys if hmac.compare_digest(offered, key.encode())]
    return quote(matches[0].partition(":")[0], safe=_PLAIN) if matches else None


def _unknown_id(headers: Headers) -> str | None:
    """Return the id of a key that is not ours, '' if it has none; None if no key was given.

    A text without a colon may be a secret alone, and is not repeated.
    """
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() not in _SCHEMES or not given.strip():
        return None
    key_id, colon, _ = given.strip().partition(":")
    return key_id if colon else ""


def _is_open(scope: Scope) -> bool:
    """Return whether a request needs no key."""
    names = {name for name, _ in scope["headers"]}
    return needs_no_key(address_of(scope), scope.get("method", ""), names)
