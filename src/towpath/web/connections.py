"""Who is connected, and whose connection closes when there is no room for another one.

A plain limit on connections is a weapon: a stranger who opens as many as there may be, and says
nothing, keeps everybody else out, health checks included (slowloris). So a connection counts as
*silent* until the head of a request is whole, and again once its answers are sent. When one more
connection comes than there may be, the one that is silent longest closes, as nginx reuses its
least recently used idle connections (nginx, `worker_connections`). Only requests at work fill the
limit: then the next one is refused with a sentence, and questions about the server's health are
still answered.

Each client has a share of its own. Who the client is, is the address of the other end. Loopback
addresses and trusted proxies stand for many clients: they have the common limit only, and requests
that come through a proxy count for the address that the proxy names.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from towpath.errors import ClientBusyError, RequestError, ServerBusyError

__all__ = ["ConnectionLimits", "Connections", "Counts", "Guest", "identifier"]

_SPARE = 64
"""Connections beyond the limit, so that heads can be read: some ask for the server's health."""
_SHARED = 64  # bits of an IPv6 address that a network has in common: one client has the others
_IPV6 = 6


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be.

    Attributes:
        connections: of everybody.
        of_client: of one client, at work or silent.
        silent_of_client: of one client that are silent.
    """

    connections: int = 2000
    of_client: int = 500
    silent_of_client: int = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """How many connections there are, and were.

    Attributes:
        silent: without a request now.
        busy: with a request, or websockets.
        dismissed: silent ones that were closed to make room, so far.
        refused: requests that found no room, so far.
    """

    silent: int
    busy: int
    dismissed: int
    refused: int


class Guest(Protocol):
    """A connection."""

    def dismiss(self) -> None:
        """Close it; nothing is at work on it."""


@dataclass(slots=True)
class _Client:
    """The connections of one client."""

    silent: dict[Guest, None] = field(default_factory=dict)
    busy: int = 0


class Connections:
    """The book of all connections of a server.

    Args:
        limits: how many there may be.
        identify: names the client at an address; None stands for many clients.

    Attributes:
        identify: the same.
    """

    def __init__(
        self,
        limits: ConnectionLimits | None = None,
        identify: Callable[[str], str | None] | None = None,
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self.identify = identify or identifier()
        self._silent: dict[Guest, str | None] = {}  # the longest silent first
        self._busy: dict[Guest, str | None] = {}
        self._clients: dict[str, _Client] = {}
        self._dismissed = self._refused = 0

    @property
    def counts(self) -> Counts:
        """Return how many there are."""
        return Counts(len(self._silent), len(self._busy), self._dismissed, self._refused)

    def arrive(self, guest: Guest, address: str | None) -> None:
        """Note a new connection; close one that is silent if there is no room for it."""
        client = None if address is None else self.identify(address)
        self._rest(guest, client)
        if client is not None:
            own = self._clients[client]
            is_over = len(own.silent) + own.busy > self._limits.of_client and len(own.silent) > 1
            if is_over or len(own.silent) > self._limits.silent_of_client:
                self._dismiss(next(iter(own.silent)))
        over = len(self._silent) + len(self._busy) - self._limits.connections
        if over > 0 and (len(self._silent) > 1 or over > _SPARE):
            self._dismiss(next(iter(self._silent)))

    def begin(self, guest: Guest) -> RequestError | None:
        """Note that a request is at work; return why it has to be refused, or None."""
        if guest not in self._silent:  # another one is at work on it, or it was closed
            return None
        client = self._silent.pop(guest)
        self._busy[guest] = client
        if client is not None:
            own = self._clients[client]
            own.silent.pop(guest, None)
            own.busy += 1
            if own.busy > self._limits.of_client:
                self._refused += 1
                return ClientBusyError(self._limits.of_client)
        if len(self._busy) > self._limits.connections:
            self._refused += 1
            return ServerBusyError(self._limits.connections)
        return None

    def rest(self, guest: Guest) -> None:
        """Note that a connection is silent again."""
        if guest in self._busy:
            client = self._busy.pop(guest)
            self._less_busy(client)
            self._rest(guest, client)

    def leave(self, guest: Guest) -> None:
        """Note that a connection has ended."""
        if guest in self._busy:
            client = self._busy.pop(guest)
            self._less_busy(client)
        elif guest in self._silent:
            client = self._silent.pop(guest)
            if client is not None:
                self._clients[client].silent.pop(guest, None)
        else:
            return
        self._forget(client)

    def begin_of(self, client: str) -> RequestError | None:
        """Note a request that came through a proxy; return why it has to be refused, or None.

        `end_of` takes it back, unless it is refused.
        """
        own = self._clients.setdefault(client, _Client())
        if own.busy >= self._limits.of_client:
            self._refused += 1
            return ClientBusyError(self._limits.of_client)
        own.busy += 1
        return None

    def end_of(self, client: str) -> None:
        """Note the end of a request that came through a proxy."""
        self._less_busy(client)
        self._forget(client)

    # --- pieces ---

    def _rest(self, guest: Guest, client: str | None) -> None:
        self._silent[guest] = client
        if client is not None:
            self._clients.setdefault(client, _Client()).silent[guest] = None

    def _less_busy(self, client: str | None) -> None:
        if client is not None:
            self._clients[client].busy -= 1

    def _forget(self, client: str | None) -> None:
        """Keep nothing of a client who has no connections."""
        if client is not None:
            own = self._clients[client]
            if not own.silent and not own.busy:
                del self._clients[client]

    def _dismiss(self, guest: Guest) -> None:
        self._dismissed += 1
        self.leave(guest)
        guest.dismiss()


def identifier(trusted: Sequence[str] = ()) -> Callable[[str], str | None]:
    """Return what names the client at an address, or says None where it stands for many.

    Args:
        trusted: networks of the proxies that speak for others.
    """
    networks = [ipaddress.ip_network(network, strict=False) for network in trusted]

    @lru_cache(maxsize=4096)
    def client_of(address: str) -> str | None:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return None
        found = getattr(found, "ipv4_mapped", None) or found
        if found.is_loopback or any(found in network for network in networks):
            return None
        if found.version == _IPV6:
            return str(ipaddress.ip_network((int(found), _SHARED), strict=False))
        return str(found)

    return client_of
