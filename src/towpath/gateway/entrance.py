"""Where every request comes in: head and path are read, and whoever answers gets what was read."""

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from towpath.errors import RequestError
from towpath.gateway.addresses import Address, Service, read_address
from towpath.gateway.answers import error_answer
from towpath.web.heads import read_head
from towpath.web.receiving import refuse

__all__ = ["Entrance", "address_of"]


class Entrance:
    """ASGI middleware: reads a head and a path once, and chooses who answers.

    Args:
        services: who answers what.
        other: who answers the rest, and has the lifespan.
        prefix: of our public URL's path, where a proxy may have left it.
        judge: says why a Host is refused; public files answer to every host.
    """

    def __init__(
        self,
        services: Mapping[Service, ASGIApp],
        other: ASGIApp,
        *,
        prefix: str,
        judge: Callable[[str], RequestError | None],
    ) -> None:
        self._services = services
        self._other = other
        self._prefix = prefix
        self._judge = judge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._other(scope, receive, send)
            return
        head = read_head(scope["headers"], scope.get("http_version", "1.1"))
        address = self._read(scope, head.host)
        fault = head.fault
        if fault is None and address.service != "files":
            fault = self._judge(head.host)
        if fault is None:
            await self._services.get(address.service, self._other)(scope, receive, send)
        elif scope["type"] == "websocket":
            await error_answer(fault)(scope, receive, send)
        else:
            await refuse(scope, receive, send, fault)

    def _read(self, scope: Scope, host: str) -> Address:
        """Read the path; everybody takes it from here."""
        raw: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        address = read_address(raw.partition("?")[0], host=host, prefix=self._prefix)
        scope["path"], scope["raw_path"] = address.path, address.path.encode("latin-1")
        scope["state"]["address"] = address
        return address


def address_of(scope: Scope) -> Address:
    """Return what the path of a request means, as it was read at the entrance."""
    address: Address = scope["state"]["address"]
    return address
