"""GET and HEAD of a file."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from towpath.cdn.headers import ALWAYS, etag_of, file_headers
from towpath.cdn.ranges import Selection, select
from towpath.clock import Clock
from towpath.concurrency import in_thread
from towpath.errors import ObjectExpiredError, ObjectNotFoundError, RangeError, StorageError
from towpath.storage.file_store import FileStore
from towpath.storage.records import ID_PATTERN, StoredFile
from towpath.web.errors import problem_of

__all__ = ["FileEndpoint"]

_BUFFER = 1024 * 1024
_PARTIAL = 206
_NO_BODY = {304, 412}
_RETRY_SECONDS = "2"


class FileEndpoint:
    """Serves one file: `/files/{id}/{anything}`. No path from the URL ever touches the disk.

    Args:
        store: where the files are.
        clock: the wall clock; expiry is judged at each read.
    """

    def __init__(self, store: FileStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, request: Request) -> Response:
        """Answer a GET, HEAD or OPTIONS."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**ALWAYS, **_preflight(request)})
        try:
            return await self._file(request)
        except RangeError as error:
            headers = {"content-range": f"bytes */{error.size}", "accept-ranges": "bytes"}
            return _refused(error, headers)
        except StorageError as error:
            return _refused(error, {"cache-control": "no-store"} | _when(error))

    async def _file(self, request: Request) -> Response:
        """Answer with the file, a part of it, or why not."""
        file_id = request.path_params["file_id"]
        if not ID_PATTERN.fullmatch(file_id):
            raise ObjectNotFoundError(file_id)
        record, stream = await in_thread(self._open)(file_id)
        try:
            selection = select(
                request.headers, etag=etag_of(record), modified=record.created, size=record.size
            )
        except BaseException:
            stream.close()
            raise
        download = request.query_params.get("download", "0").lower() in {"1", "true"}
        headers = file_headers(record, now=self._clock(), download=download)
        if selection.status == _PARTIAL:
            last = selection.stop - 1
            headers["content-range"] = f"bytes {selection.start}-{last}/{record.size}"
        if selection.status in _NO_BODY or request.method == "HEAD":
            stream.close()
            return _head(selection, headers)
        return _FileResponse(stream, selection, headers)

    def _open(self, file_id: str) -> tuple[StoredFile, BinaryIO]:
        """Find and open a file."""
        record = self._store.find(file_id)
        return record, self._store.open(record)


class _FileResponse(Response):
    """Sends a part of an open file, a buffer at a time."""

    def __init__(self, stream: BinaryIO, selection: Selection, headers: dict[str, str]) -> None:
        self._stream = stream
        self._selection = selection
        length = {"content-length": str(selection.length)}
        super().__init__(status_code=selection.status, headers=headers | length)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the bytes; the file is closed whatever happens."""
        start = {"type": "http.response.start", "status": self.status_code}
        try:
            await send(start | {"headers": self.raw_headers})
            async with aclosing(self._chunks()) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._stream.close()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the selected bytes; reads wait for the disk in a thread."""
        position, descriptor = self._selection.start, self._stream.fileno()
        read = in_thread(os.pread)
        while position < self._selection.stop:
            size = min(_BUFFER, self._selection.stop - position)
            chunk = await read(descriptor, size, position)
            if not chunk:
                message = "a stored file is shorter than its record"
                raise StorageError(message)
            position += len(chunk)
            yield chunk


def _when(error: StorageError) -> dict[str, str]:
    """Return when to ask again for a file whose bytes are still to come."""
    is_pending = isinstance(error, ObjectNotFoundError) and error.is_pending
    return {"retry-after": _RETRY_SECONDS} if is_pending else {}


def _head(selection: Selection, headers: dict[str, str]) -> Response:
    """Return an answer without a body."""
    if selection.status in _NO_BODY:
        kept = {
            n: v for n, v in headers.items() if n not in {"content-type", "content-disposition"}
        }
        return Response(status_code=selection.status, headers=kept)
    response = Response(status_code=selection.status, headers=headers)
    response.headers["content-length"] = str(selection.length)
    return response


def _preflight(request: Request) -> dict[str, str]:
    """Return what a browser asks before a cross-origin read."""
    asked = request.headers.get("access-control-request-headers", "range")
    safe = asked if asked.isascii() and asked.isprintable() else "range"
    return {
        "access-control-allow-methods": "GET, HEAD, OPTIONS",
        "access-control-allow-headers": safe[:200],
        "access-control-max-age": "86400",
        "allow": "GET, HEAD, OPTIONS",
    }


def _refused(error: StorageError, headers: dict[str, str]) -> Response:
    """Answer with an error, with the headers that files always have."""
    if isinstance(error, ObjectExpiredError):
        headers["x-expires-at"] = error.expired_at
    problem = problem_of(error)
    return JSONResponse(dict(problem.body), problem.status, {**ALWAYS, **headers})
