"""Sockets of our own: listen where we are told, and say who is in the way."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from towpath.errors import AddressInUseError, SettingsError

__all__ = ["Listening", "listening"]

Listening = socket.socket


@contextmanager
def listening(host: str, port: int, *, flag: str = "--port") -> Iterator[socket.socket]:
    """Listen at *host* and *port*; 0 takes a free port.

    Args:
        host: an address of this machine, or a name of one.
        port: of it.
        flag: by which the operator can name another port.

    Raises:
        AddressInUseError: another program listens there.
        SettingsError: this machine has no such address.
    """
    sock = _bound(host, port, flag)
    try:
        sock.listen(2048)
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        yield sock
    finally:
        sock.close()


def _bound(host: str, port: int, flag: str) -> socket.socket:
    """Return a socket bound to the first address of *host*."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        sock = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY by it
    except OSError as error:
        message = f"host {host!r} is not an address of this machine ({error.strerror or error})."
        raise SettingsError(message) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(host, port, _listener(port), flag=flag) from None
        message = f"host {host!r}, port {port} cannot be listened on ({error.strerror})."
        raise SettingsError(message) from None
    return sock


def _listener(port: int) -> str:
    """Return the process that listens on *port*, if we may know."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.pid
            if listens and connection.laddr and connection.laddr.port == port:
                return f"pid {connection.pid}, {psutil.Process(connection.pid).name()}"
    return ""
