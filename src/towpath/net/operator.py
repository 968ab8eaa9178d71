"""HTTP towards a towpath server, as its operator. Never for strangers' URLs."""

from types import TracebackType
from typing import Any, Self

import aiohttp

from towpath.errors import ServerError, SettingsError

__all__ = ["OperatorClient"]

_SECONDS = 30.0
_BAD = 400
_CLOSED = frozenset({401, 403})
_FIX = " Start the server with TOWPATH_ADMIN_TOKEN, and give the token here (--token)."


class OperatorClient:
    """Calls the operator's routes of one server.

    Args:
        server: its address.
        token: opens those routes, if the server has one.
    """

    def __init__(self, server: str, token: str | None) -> None:
        self._server = server.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """Return the answer to one call.

        Raises:
            SettingsError: the server does not answer, or refuses the caller.
            ServerError: it cannot do what is asked.
        """
        params = {name: str(value) for name, value in query.items() if value is not None}
        url = f"{self._server}{path}"
        try:
            async with self._session.request(
                method, url, params=params, allow_redirects=False
            ) as answer:
                content = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            message = (
                f"{self._server} does not answer as a towpath server: {_reason(error)}. "
                "Name the server with --server."
            )
            raise SettingsError(message) from None
        if status >= _BAD:
            detail = content.get("detail") if isinstance(content, dict) else None
            fix = _FIX if status in _CLOSED else ""
            message = f"{self._server} answered {status}: {detail}{fix}"
            raise (SettingsError if status in _CLOSED else ServerError)(message)
        return content


def _reason(error: Exception) -> str:
    """Say why there is no answer."""
    if isinstance(error, aiohttp.InvalidURL):
        return "this is no http address"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it cannot be reached ({error.os_error.strerror or error.os_error})"
    if isinstance(error, TimeoutError):
        return f"no answer came within {_SECONDS:.0f} s"
    if isinstance(error, aiohttp.ClientError):
        return "the connection broke"
    return "its answer is no JSON"
