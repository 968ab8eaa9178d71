"""The operator's routes: the files of all owners, their lives, what they take."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from towpath.concurrency import in_thread
from towpath.errors import InputError, ObjectNotFoundError, RequestError
from towpath.errors.redaction import shown
from towpath.storage.file_store import FileStore
from towpath.storage.hosting import Hosting
from towpath.storage.records import ID_PATTERN
from towpath.uploads.lifetimes import seconds_of

__all__ = ["AdminRoutes", "limit_of"]

_PAGE = 100


class AdminRoutes:
    """`/admin/files` and `/admin/usage`.

    Args:
        store: where the files are.
        hosting: under which URLs.
    """

    def __init__(self, store: FileStore, hosting: Hosting) -> None:
        self._store = store
        self._hosting = hosting

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/admin/files", self._files),
            Route("/admin/usage", self._usage),
            Route("/admin/files/{id}", self._change, methods=["PATCH"]),
            Route("/admin/files/{id}", self._remove, methods=["DELETE"]),
        ]

    async def _files(self, request: Request) -> Response:
        """List files, the oldest first."""
        asked = request.query_params
        try:
            page = await in_thread(self._store.page)(
                owner=asked.get("owner"),
                expired=asked.get("expired", "") in {"1", "true"},
                cursor=asked.get("cursor"),
                limit=limit_of(asked),
            )
        except ValueError as error:
            message = f"The list cannot be given: {error}."
            raise RequestError(message) from None
        items = [self._hosting.to_json(file) for file in page.files]
        return JSONResponse({"items": items, "next_cursor": page.cursor})

    async def _usage(self, _: Request) -> Response:
        """Say what each owner's files take, the largest first."""
        rows = await in_thread(self._store.usage)()
        items = [{"owner": row.owner, "files": row.files, "bytes": row.size} for row in rows]
        total = {"files": sum(row.files for row in rows), "bytes": sum(row.size for row in rows)}
        return JSONResponse({"items": items, "next_cursor": None, "total": total})

    async def _change(self, request: Request) -> Response:
        """Let a file live longer or shorter, from now on."""
        lifetime = _lifetime_of(await request.body())
        record = await in_thread(self._store.set_life)(_id_of(request), lifetime)
        return JSONResponse(self._hosting.to_json(record))

    async def _remove(self, request: Request) -> Response:
        """Remove a file at once."""
        await in_thread(self._store.remove)(_id_of(request))
        return Response(status_code=204)


def limit_of(asked: Mapping[str, str]) -> int:
    """Return how many items a page is to have.

    Raises:
        ValueError: it is no number.
    """
    given = asked.get("limit", str(_PAGE))
    if not (given.isascii() and given.isdigit()):
        message = f"limit={shown(given, 20)!r} is no number"
        raise ValueError(message)
    return int(given[:9])


def _id_of(request: Request) -> str:
    """Return the id in the path.

    Raises:
        ObjectNotFoundError: it is none.
    """
    file_id: str = request.path_params["id"]
    if not ID_PATTERN.fullmatch(file_id):
        raise ObjectNotFoundError(file_id)
    return file_id


def _lifetime_of(body: bytes) -> int | None:
    """Read `{"expires_in": …}`: seconds, None = for ever.

    Raises:
        InputError: it is something else.
    """
    form = 'Send {"expires_in": seconds or "never", "1h", "1d", "7d", "30d", "1y"}.'
    try:
        given: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError(form) from None
    if not isinstance(given, dict) or set(given) != {"expires_in"}:
        raise InputError(form, "expires_in")
    try:
        return seconds_of(given["expires_in"])
    except (ValueError, TypeError) as error:
        raise InputError(f"{error}. {form}", "expires_in") from None
