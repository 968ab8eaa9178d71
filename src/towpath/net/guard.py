"""Resolve, judge every address, dial the judged one."""

import socket
import ssl
from dataclasses import dataclass

from towpath.errors import DownloadError, InvalidURLError, SourceUnavailableError
from towpath.errors.redaction import shown
from towpath.net.policy import AddressPolicy, Target

__all__ = ["Guard"]

_CONNECT_SECONDS = 10.0


class _Tls:
    """One client context for the process: making one reads the whole CA bundle (18 ms)."""

    context: ssl.SSLContext | None = None


def _tls_context() -> ssl.SSLContext:
    """Return the shared context; `SSL_CERT_FILE` is honoured by `ssl` itself."""
    if _Tls.context is None:
        _Tls.context = ssl.create_default_context()
        _Tls.context.set_alpn_protocols(["http/1.1"])
    return _Tls.context


@dataclass(frozen=True, slots=True)
class Guard:
    """The one door to hosts that somebody else named."""

    policy: AddressPolicy
    connect_seconds: float = _CONNECT_SECONDS

    def dial(self, target: Target) -> socket.socket:
        """Connect to *target*: only to an address that was judged, under the name it was given.

        Raises:
            BlockedAddressError: the name leads to an address that is not allowed.
            SourceUnavailableError: it does not resolve, or nobody answers.
        """
        addresses = self.policy.judge(target, _resolve(target))
        failure: DownloadError | None = None
        for address in addresses:
            try:
                return self._connect(target, address)
            except ssl.SSLError as error:
                failure = SourceUnavailableError(target.url, _tls_reason(error))
            except OSError as error:
                failure = SourceUnavailableError(target.url, _reason(error, self.connect_seconds))
        raise failure or SourceUnavailableError(target.url, "its host has no address")

    def _connect(self, target: Target, address: str) -> socket.socket:
        """Open the connection and check who is at its other end."""
        plain = socket.create_connection((address, target.port), timeout=self.connect_seconds)
        try:
            self.policy.judge(target, [plain.getpeername()[0]])
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.scheme == "http":
                return plain
            return _tls_context().wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise


def _resolve(target: Target) -> tuple[str, ...]:
    """Return every address that the host's name stands for, in the resolver's order."""
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise InvalidURLError(target.url, "its host is not a valid name") from None
    except OSError as error:
        reason = f"its host {shown(target.host)} does not resolve ({error.strerror or error})"
        raise SourceUnavailableError(target.url, reason) from None
    return tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _tls_reason(error: ssl.SSLError) -> str:
    """Say what is wrong with the certificate or the handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return f"the TLS handshake failed ({error.reason or 'connection closed'})"


def _reason(error: OSError, seconds: float) -> str:
    """Say why the connection failed."""
    if isinstance(error, TimeoutError):
        return f"the host did not answer within {seconds:g} s"
    return f"the host does not answer ({error.strerror or type(error).__name__})"
