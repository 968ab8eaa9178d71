"""Resolve, judge every address, dial the judged one."""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from towpath.errors import (
    BadResponseError,
    BlockedAddressError,
    DownloadError,
    InvalidURLError,
    SourceUnavailableError,
)
from towpath.errors.redaction import shown
from towpath.net.connection import Connection
from towpath.net.heads import parse_head
from towpath.net.patience import Patience, Watch
from towpath.net.policy import AddressPolicy, Target
from towpath.net.proxies import Proxy
from towpath.net.telling import tell_operator

__all__ = ["Guard"]

_CONNECT_SECONDS = 10.0
_OK = 200
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


class _Tls:
    """One client context for the process: making one reads the whole CA bundle (18 ms)."""

    context: ssl.SSLContext | None = None


def _tls_context() -> ssl.SSLContext:
    """Return the shared context; `SSL_CERT_FILE` is honoured by `ssl` itself."""
    if _Tls.context is None:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        _Tls.context = context
    return _Tls.context


@dataclass(frozen=True, slots=True)
class Guard:
    """The one door to hosts that somebody else named.

    Attributes:
        policy: judges addresses.
        connect_seconds: how long one address may take to answer.
        proxy: the proxy that the author gave, or None.
    """

    policy: AddressPolicy
    connect_seconds: float = _CONNECT_SECONDS
    proxy: Proxy | None = None

    def addresses(self, target: Target) -> tuple[str, ...]:
        """Return every address that *target* stands for; all of them may be dialled.

        Through a proxy, which resolves names by itself, none are returned; a name that resolves
        here is judged all the same.

        Raises:
            BlockedAddressError: the name leads to an address that is not allowed.
            SourceUnavailableError: it does not resolve.
        """
        if self.proxy is None:
            return self._judged(target, _resolve(target))
        with suppress(SourceUnavailableError):
            self._judged(target, _resolve(target))
        return ()

    def _judged(self, target: Target, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Return *addresses* if all of them may be dialled; tell the operator of one that may not.

        Raises:
            BlockedAddressError: one may not.
        """
        try:
            return self.policy.judge(target, addresses)
        except BlockedAddressError as error:
            named, host = "", shown(target.host)
            if error.address != target.host:
                named = f", to which {host} resolves,"
            detail = f"address {error.address}{named} is not public; TOWPATH_ALLOW_HOSTS={host}"
            tell_operator(error, f"{detail} allows it, and allow_hosts= does for one call")
            raise

    def connect(self, target: Target, addresses: tuple[str, ...], patience: Patience) -> Connection:
        """Connect to the first of the judged *addresses* that answers.

        Raises:
            SourceUnavailableError: nobody answers, or the certificate is not accepted.
        """
        if self.proxy is not None:
            return self._tunnelled(target, self.proxy, patience)
        failure: DownloadError | None = None
        for address in addresses:
            try:
                return self._connect(target, address, patience)
            except OSError as error:
                failure = _failure(target.url, error, self.connect_seconds)
        raise failure or SourceUnavailableError(target.url, "its host has no address")

    def _connect(self, target: Target, address: str, patience: Patience) -> Connection:
        """Open the connection and check who is at its other end."""
        plain = self._dial(address, target.port, patience)
        try:
            self._judged(target, (str(plain.getpeername()[0]),))
            return Connection(self._secured(plain, target), address)
        except BaseException:
            plain.close()
            raise

    def _dial(self, host: str, port: int, patience: Patience) -> socket.socket:
        """Open a TCP connection."""
        seconds = min(self.connect_seconds, patience.remaining())
        plain = socket.create_connection((host, port), timeout=max(seconds, 0.001))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain

    def _secured(self, plain: socket.socket, target: Target) -> socket.socket:
        """Put TLS on it, under the name that the URL has."""
        if target.scheme == "http":
            return plain
        return _tls_context().wrap_socket(plain, server_hostname=target.host)

    def _tunnelled(self, target: Target, proxy: Proxy, patience: Patience) -> Connection:
        """Connect through the proxy: a tunnel for https, the proxy itself for http."""
        try:
            plain = self._dial(proxy.host, proxy.port, patience)
        except OSError as error:
            failure = _failure(target.url, error, self.connect_seconds)
            reason = f"the proxy cannot be reached: {failure.reason}"
            raise SourceUnavailableError(target.url, reason) from None
        except UnicodeError:
            raise InvalidURLError("proxy", "its host is not a valid name") from None
        try:
            if target.scheme == "https":
                _open_tunnel(Connection(plain, proxy.host), target, proxy, patience)
                plain.settimeout(self.connect_seconds)
            return Connection(self._secured(plain, target), proxy.host)
        except OSError as error:
            plain.close()
            raise _failure(target.url, error, self.connect_seconds) from None
        except BaseException:
            plain.close()
            raise


def _open_tunnel(hop: Connection, target: Target, proxy: Proxy, patience: Patience) -> None:
    """Ask the proxy for a tunnel."""
    hop.start(Watch(patience))
    hop.send(proxy.connect_request(target))
    head = parse_head(target.url, hop.read_head())
    if head.status != _OK or hop.has_rest:
        raise BadResponseError(target.url, f"the proxy refuses with {head.status}")


def _resolve(target: Target) -> tuple[str, ...]:
    """Return every address that the host's name stands for, in the resolver's order."""
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise InvalidURLError(target.url, "its host is not a valid name") from None
    except OSError as error:
        reason = f"its host {shown(target.host)} does not resolve ({error.strerror or error})"
        lasting = error.errno in _NO_SUCH_NAME
        raise SourceUnavailableError(target.url, reason, lasting=lasting) from None
    return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _failure(url: str, error: OSError, seconds: float) -> SourceUnavailableError:
    """Say why the connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is not accepted: {error.verify_message}"
        return SourceUnavailableError(url, reason, lasting=True)
    if isinstance(error, ssl.SSLError):
        word = error.reason or "connection closed"
        reason = f"the TLS handshake failed ({word})"
        return SourceUnavailableError(url, reason, lasting="VERSION" in word or "HTTP" in word)
    if isinstance(error, TimeoutError):
        return SourceUnavailableError(url, f"the host did not answer within {seconds:g} s")
    reason = f"the host does not answer ({error.strerror or type(error).__name__})"
    return SourceUnavailableError(url, reason)
