"""Where every request comes in: its path is read, and whoever answers it gets what was read."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from towpath.gateway.addresses import Address, Service, read_address

__all__ = ["Entrance", "address_of"]


class Entrance:
    """ASGI middleware: reads a path once, and chooses who answers.

    Args:
        services: who answers what.
        other: who answers the rest, and has the lifespan.
        prefix: of our public URL's path, where a proxy may have left it.
    """

    def __init__(self, services: Mapping[Service, ASGIApp], other: ASGIApp, *, prefix: str) -> None:
        self._services = services
        self._other = other
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._other(scope, receive, send)
            return
        raw = scope.get("raw_path") or scope["path"].encode()
        address = read_address(
            raw.decode("latin-1").partition("?")[0], host=_host_of(scope), prefix=self._prefix
        )
        scope["path"], scope["raw_path"] = address.path, address.path.encode("latin-1")
        scope["state"]["address"] = address
        await self._services.get(address.service, self._other)(scope, receive, send)


def address_of(scope: Scope) -> Address:
    """Return what the path of a request means, as it was read at the entrance."""
    address: Address = scope["state"]["address"]
    return address


def _host_of(scope: Scope) -> str:
    """Return the Host header, '' if there is none."""
    return next(
        (value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), ""
    )
