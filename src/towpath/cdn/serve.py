"""GET, HEAD and OPTIONS of a file: looked up, judged, answered."""

import asyncio
import hmac
import re
import secrets
from collections.abc import Coroutine, Mapping
from contextlib import closing
from functools import partial
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from towpath.cdn.body import FileBody
from towpath.cdn.headers import (
    ALWAYS,
    etag_of,
    file_headers,
    file_lines,
    lines_of,
    modified_of,
)
from towpath.cdn.multipart import Multipart
from towpath.cdn.ranges import Selection, select
from towpath.cdn.remote_body import RemoteBody
from towpath.cdn.signed_body import SignedBody
from towpath.clock import Clock
from towpath.concurrency import in_thread
from towpath.errors import (
    ForbiddenError,
    ObjectExpiredError,
    ObjectNotFoundError,
    RangeError,
    StorageError,
    TowpathError,
)
from towpath.media.content_types import is_passive
from towpath.net.store_reader import StoreReader
from towpath.storage.file_store import FileStore
from towpath.storage.records import StoredFile
from towpath.web.errors import problem_of
from towpath.web.untold import note_untold
from towpath.web.zero_copy import EXTENSION, LINES, SPLICE

__all__ = ["FILE_PATH", "FileEndpoint"]

FILE_PATH = re.compile(r"/files/([a-z2-7]{32})(?:/.*)?", re.DOTALL)
"""`/files/{id}/{anything}`. No other part of the URL counts, and none ever touches the disk."""

_NEVER_KEPT = {"vary": "*", "cdn-cache-control": "no-store", "surrogate-control": "no-store"}
"""For a cache between the front and us (RFC 9111 4.1, RFC 9213). `Cache-Control` itself has to be
the file's: nginx passes it on to the reader, and has no way to put another in its place."""
_ASKS_MORE = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match"}
    | {b"if-modified-since", b"if-unmodified-since"}
)
_LEAST_IN_FRONT = 64 * 1024
_METHODS = "GET, HEAD, OPTIONS"
_PARTIAL = 206
_NO_BODY = {304, 412}
_RETRY_SECONDS = "2"
_REDIRECT_SECONDS = 60
_NOT_PUBLIC = "This file is not public."
_BUSY = "Too many files are being sent; try again in a moment."


class FileEndpoint:
    """Serves the files of a store; an ASGI app for paths that match FILE_PATH.

    Args:
        store: where the files are.
        clock: the wall clock; expiry is judged at each read.
        most: files that are sent at once; more are told to come back.
        redirects: whether callers are sent to an object store that hands out URLs of its own.
        front_prefix: what a proxy in front says that sends files itself; None = there is none.
        reader: reads from an object store that hands out URLs of its own.
    """

    def __init__(
        self,
        store: FileStore,
        clock: Clock,
        *,
        most: int,
        redirects: bool = True,
        front_prefix: str | None = None,
        reader: StoreReader | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        self._redirects = redirects
        self._front_prefix = front_prefix
        self._reader = reader or StoreReader()
        self._sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        method = scope["method"]
        if method == "OPTIONS":
            answer = Response(status_code=204, headers={**ALWAYS, **_preflight(headers)})
        elif method not in {"GET", "HEAD"}:
            answer = JSONResponse(
                {"detail": "Method Not Allowed"}, 405, {**ALWAYS, "allow": _METHODS}
            )
        else:
            refusal = await self._serve(scope, headers, (receive, send))
            if refusal is None:
                return
            answer = refusal
        await answer(scope, receive, send)

    async def _serve(
        self, scope: Scope, headers: Mapping[str, str], ways: tuple[Receive, Send]
    ) -> Response | None:
        """Send the file, a part of it, or nothing; return the answer if it is another one."""
        try:
            record = await self._found(scope["path"])
            selection = select(
                headers,
                etag=etag_of(record),
                modified=modified_of(record),
                size=record.size,
                method=scope["method"],
            )
            if selection.status in _NO_BODY:
                return _without_body(selection.status, self._headers(record, scope))
            if self._sending >= self._most:
                wait = {"retry-after": "1", "cache-control": "no-store"}
                return JSONResponse({"detail": _BUSY}, 503, {**ALWAYS, **wait})
            self._sending += 1
            try:
                return await self._send(scope, record, selection, ways)
            finally:
                self._sending -= 1
        except RangeError as error:
            unsatisfied = {"content-range": f"bytes */{error.size}", "accept-ranges": "bytes"}
            return _refused(error, unsatisfied)
        except (StorageError, ForbiddenError) as error:
            return _refused(error, {"cache-control": "no-store"} | _when(error))

    async def _send(
        self, scope: Scope, record: StoredFile, selection: Selection, ways: tuple[Receive, Send]
    ) -> Response | None:
        """Send what was selected; return the answer if it is another one."""
        if not self._store.is_local:
            return await self._send_remote(scope, record, selection, ways)
        with closing(self._store.open(record)) as stream:
            await self._send_local(scope, record, selection, (stream.fileno(), ways[1]))
        return None

    async def _found(self, path: str) -> StoredFile:
        """Return the file that a path names, if the caller may read it.

        Raises:
            StorageError: there is none any more.
            ForbiddenError: it is not public.
        """
        matched = FILE_PATH.fullmatch(path)
        file_id = matched[1] if matched is not None else ""
        record = self._store.indexed(file_id) or await in_thread(self._store.find)(file_id)
        if record.access == "public":
            return record
        if record.access == "forbid":
            raise ForbiddenError(_NOT_PUBLIC)
        raise ObjectNotFoundError(file_id)

    def _headers(self, record: StoredFile, scope: Scope) -> dict[str, str]:
        """Return what an answer says of the file."""
        return file_headers(record, now=self._clock(), download=_is_download(scope))

    async def _send_local(
        self, scope: Scope, record: StoredFile, selection: Selection, ways: tuple[int, Send]
    ) -> None:
        """Send head and body from an open file."""
        descriptor, send = ways
        place = self._place_in_front(scope, record)
        if place is not None:
            headers = {**self._headers(record, scope), **_NEVER_KEPT, "x-accel-redirect": place}
            await send(_start(200, headers | {"content-length": "0"}))
            await FileBody(descriptor, ()).send(send)
            return
        start, frame = self._begun(scope, record, selection)
        spans = () if scope["method"] == "HEAD" else selection.spans
        copies = EXTENSION not in scope.get("extensions", {})
        await send(start)
        await FileBody(descriptor, spans, frame, copies=copies).send(send)

    def _begun(
        self, scope: Scope, record: StoredFile, selection: Selection
    ) -> tuple[Message, Multipart | None]:
        """Return the start of an answer, and what is around several parts."""
        is_get = scope["method"] == "GET"
        if is_get and LINES in scope.get("extensions", {}) and _is_one_part(selection):
            return self._ready_start(scope, record, selection), None
        headers, frame = self._framed(scope, record, selection)
        return _start(selection.status, headers), frame

    def _ready_start(self, scope: Scope, record: StoredFile, selection: Selection) -> Message:
        """Return the start of an answer of one part, with its lines as they are sent."""
        lines = file_lines(record, now=self._clock(), download=_is_download(scope))
        own = _of_one_part(selection, record.size)
        start, stop = selection.spans[0]
        return {
            "type": "http.response.start",
            "status": selection.status,
            "headers": [],
            "lines": lines + lines_of(own),
            "length": stop - start,
        }

    def _place_in_front(self, scope: Scope, record: StoredFile) -> str | None:
        """Return where a proxy in front finds the file, if it is to send it itself.

        The answer has no body, so nobody but the front may get it: anybody else would read an
        empty file, and a cache on the way would keep it for all. The front says the prefix, which
        is a secret between its configuration and the settings, and the place is made of the
        setting alone. Parts, conditions and small files are answered by us: a proxy has other
        validators.
        """
        if self._front_prefix is None or scope["method"] != "GET" or record.size < _LEAST_IN_FRONT:
            return None
        headers = dict(scope["headers"])
        said = headers.get(b"x-accel-prefix", b"")
        is_front = hmac.compare_digest(said, self._front_prefix.encode())
        if not is_front or not _ASKS_MORE.isdisjoint(headers):
            return None
        return f"{self._front_prefix}/{record.id[:2]}/{record.id}"

    async def _send_remote(
        self, scope: Scope, record: StoredFile, selection: Selection, ways: tuple[Receive, Send]
    ) -> Response | None:
        """Send the caller to the object store, or pass on what it says."""
        is_head, link = scope["method"] == "HEAD", self._store.link(record)
        if link and self._redirects and not is_head and _may_leave(record, scope):
            return _redirect(link, record, self._clock())
        start, frame = self._begun(scope, record, selection)
        spans = () if is_head else selection.spans
        if link is None:
            pieces = RemoteBody(partial(self._store.pieces, record), spans, frame)
            await pieces.open()
            await _while_there(ways[0], _sent(start, pieces, ways[1]))
            return None
        splices = SPLICE in scope.get("extensions", {})
        fresh = partial(self._link, record)
        with closing(SignedBody(self._reader, fresh, spans, frame, splices=splices)) as body:
            await body.open(record.id)
            await _while_there(ways[0], _sent(start, body, ways[1]))
        return None

    def _link(self, record: StoredFile) -> str:
        """Return a fresh URL of a store that makes them."""
        return self._store.link(record) or ""

    def _framed(
        self, scope: Scope, record: StoredFile, selection: Selection
    ) -> tuple[dict[str, str], Multipart | None]:
        """Return the headers, and what is around several parts."""
        headers, spans = self._headers(record, scope), selection.spans
        if len(spans) > 1:
            boundary = secrets.token_hex(16)
            frame = Multipart(boundary, headers["content-type"], spans, record.size)
            return headers | {
                "content-type": frame.type,
                "content-length": str(frame.length),
            }, frame
        return headers | _of_one_part(selection, record.size), None


async def _sent(start: Message, body: RemoteBody | SignedBody, send: Send) -> None:
    """Send head and body."""
    await send(start)
    await body.send(send)


async def _while_there(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Do *work* until the caller leaves: what nobody reads is not asked of the store."""
    sending, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not sending.done():
            sending.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    if not sending.cancelled():
        sending.result()


async def _left(receive: Receive) -> None:
    """Return when the caller has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, headers: Mapping[str, str]) -> Message:
    """Return the start of an answer."""
    raw = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


def _is_one_part(selection: Selection) -> bool:
    """Return whether it is one part, and not an empty one."""
    start, stop = selection.spans[0]
    return len(selection.spans) == 1 and stop > start


def _of_one_part(selection: Selection, size: int) -> dict[str, str]:
    """Return the headers of an answer of one part, or of the whole."""
    start, stop = selection.spans[0]
    length = {"content-length": str(stop - start)}
    if selection.status != _PARTIAL:
        return length
    return length | {"content-range": f"bytes {start}-{stop - 1}/{size}"}


def _is_download(scope: Scope) -> bool:
    """Return whether the caller asks for a download instead of a view."""
    asked = scope["query_string"]
    wish = parse_qs(asked.decode("latin-1"), max_num_fields=20) if b"download" in asked else {}
    return wish.get("download", ["0"])[-1].lower() in {"1", "true"}


def _may_leave(record: StoredFile, scope: Scope) -> bool:
    """Return whether a file is harmless under any headers, and none of ours are asked for."""
    return is_passive(record.content_type) and not _is_download(scope)


def _redirect(link: str, record: StoredFile, now: float) -> Response:
    """Send the caller to the object store for a file that it may read for some minutes."""
    left = _REDIRECT_SECONDS
    if record.expires is not None:
        left = max(0, min(left, int(record.expires - now)))
    headers = {"location": link, "cache-control": f"private, max-age={left}"}
    return Response(status_code=302, headers={**ALWAYS, **headers})


def _when(error: TowpathError) -> dict[str, str]:
    """Return when to ask again for a file whose bytes are still to come."""
    is_pending = isinstance(error, ObjectNotFoundError) and error.is_pending
    return {"retry-after": _RETRY_SECONDS} if is_pending else {}


def _without_body(status: int, headers: dict[str, str]) -> Response:
    """Return an answer without a body, and without what describes one."""
    left_out = {"content-type", "content-disposition"}
    kept = {name: value for name, value in headers.items() if name not in left_out}
    return Response(status_code=status, headers=kept)


def _preflight(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what a browser asks before a cross-origin read."""
    asked = headers.get("access-control-request-headers", "range")
    safe = asked if asked.isascii() and asked.isprintable() else "range"
    return {
        "access-control-allow-methods": _METHODS,
        "access-control-allow-headers": safe[:200],
        "access-control-max-age": "86400",
        "allow": _METHODS,
    }


def _refused(error: TowpathError, headers: dict[str, str]) -> Response:
    """Answer with an error, with the headers that files always have."""
    if isinstance(error, ObjectExpiredError):
        headers["x-expires-at"] = error.expired_at
    note_untold(error)
    problem = problem_of(error)
    return JSONResponse(dict(problem.body), problem.status, {**ALWAYS, **headers})
