"""POST /files/upload: a body, or a browser's form, becomes a public URL in one step."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from towpath.cdn.digests import checking, stated_digests
from towpath.clock import iso
from towpath.concurrency import in_thread
from towpath.errors import ContentCodingError, RequestError
from towpath.errors.redaction import shown
from towpath.media.content_types import guess, is_header_safe
from towpath.media.names import clean_name
from towpath.storage.file_store import FileStore
from towpath.storage.hosting import Hosting
from towpath.storage.records import StoredFile
from towpath.storage.staging import Incoming, NewFile
from towpath.uploads.lifetimes import lifetime_in_header, seconds_of
from towpath.web.forms import FormFile, FormLimits, read_form
from towpath.web.memory import Loan, Memory

__all__ = ["UPLOAD_PATH", "UploadEndpoint"]

UPLOAD_PATH = "/files/upload"
_BATCH = 1024 * 1024
_HEAD = 512
_FORM = FormLimits(files=1, fields=20, text=64 * 1024)  # text is in memory, and of no use
_LIFE_HEADERS = ("x-fal-object-lifecycle-preference", "x-fal-object-lifecycle")
_NO_TYPE = {"", "application/x-www-form-urlencoded"}
"""What clients send when their user said nothing."""


class UploadEndpoint:
    """Takes a file.

    Args:
        store: where files are kept.
        hosting: under which URLs, and whose they are.
        lifetime: seconds that a file lives whose upload says nothing of it; None = kept.
    """

    def __init__(self, store: FileStore, hosting: Hosting, *, lifetime: int | None) -> None:
        self._store = store
        self._hosting = hosting
        self._lifetime = lifetime
        self._memory = Memory()

    async def __call__(self, request: Request) -> Response:
        """Answer 201 with `access_url` and `expires_at`.

        Raises:
            ContentCodingError: the body is compressed.
            RequestError: a header is malformed, the form has no file, or a digest differs.
            StoreFullError: the disk's reserve would be used up.
        """
        lifetime = _life_of(request.headers, self._lifetime)
        request = _checked(request)
        kind = request.headers.get("content-type", "")
        try:
            if _bare(kind) == "multipart/form-data":
                record = await self._form(request, kind, lifetime)
            else:
                given = "" if _bare(kind) in _NO_TYPE else kind
                record = await self._body(request, given, lifetime)
        except ClientDisconnect:  # nobody is there to be told
            return Response(status_code=400)
        url = self._hosting.url_of(record)
        expires_at = None if record.expires is None else iso(record.expires)
        answer = {"access_url": url, "expires_at": expires_at}
        return JSONResponse(answer, 201, {"location": url})

    async def _body(self, request: Request, kind: str, lifetime: int | None) -> StoredFile:
        """Store the body as it comes."""
        with closing(await in_thread(self._store.incoming)()) as incoming:
            head = await _received(request, incoming, self._memory)
            name = _name_of(request.headers)
            new = self._new(incoming, name, kind or guess(name, head), lifetime)
            return await in_thread(self._store.save)(new)

    async def _form(self, request: Request, kind: str, lifetime: int | None) -> StoredFile:
        """Store the file of a form, as it comes."""
        with ExitStack() as stack:

            def make() -> Incoming:
                return stack.enter_context(closing(self._store.incoming()))

            parts = await read_form(request.stream(), kind, make, _FORM, self._memory)
            file = _file_of(parts)
            name = clean_name(file.name)
            said = file.content_type or guess(name, file.head)
            new = self._new(cast("Incoming", file.sink), name, said, lifetime)
            return await in_thread(self._store.save)(new)

    def _new(self, data: Incoming, name: str, kind: str, lifetime: int | None) -> NewFile:
        """Return what is to be saved."""
        if not is_header_safe(kind):
            message = f"Content-Type {shown(kind, 80)!r} is not one. Send one like image/png."
            raise RequestError(message)
        return NewFile(data, name, kind, lifetime, self._hosting.owner)


def _checked(request: Request) -> Request:
    """Return *request*, whose body is compared with what its head says of it.

    Raises:
        ContentCodingError: the body is compressed. It would be served as it is under a type that
            it does not have.
        RequestError: a digest is malformed.
    """
    coding = request.headers.get("content-encoding", "")
    if {word.strip().lower() for word in coding.split(",")} - {"", "identity"}:
        raise ContentCodingError(coding)
    stated = stated_digests(request.headers)
    return Request(request.scope, checking(request.receive, stated)) if stated else request


async def _received(request: Request, incoming: Incoming, memory: Memory) -> bytes:
    """Write the body down, a MiB at a time where there is memory; return its first bytes."""
    head, batch = b"", bytearray()
    with closing(Loan(memory, _BATCH)) as loan:
        async for chunk in request.stream():
            head = head or chunk[:_HEAD]
            if not loan.take():
                await in_thread(incoming.write)(chunk)
                continue
            batch += chunk
            if len(batch) >= _BATCH:
                await in_thread(incoming.write)(bytes(batch))
                batch.clear()
                loan.give_back()
        await in_thread(incoming.write)(bytes(batch))
    return head


def _bare(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


def _file_of(parts: Sequence[tuple[str, str | FormFile]]) -> FormFile:
    """Return the file of a form.

    Raises:
        RequestError: it has none.
    """
    part = dict(parts).get("file")
    if isinstance(part, FormFile):
        return part
    names = ", ".join(sorted({name for name, _ in parts})) or "none"
    message = f"The form has no file in its field 'file' (its fields: {shown(names)})."
    raise RequestError(message)


def _name_of(headers: Mapping[str, str]) -> str:
    """Return the name that the caller gives, cleaned; bytes beyond ASCII are UTF-8."""
    raw = headers.get("x-fal-file-name", "")
    try:
        return clean_name(raw.encode("latin-1").decode())
    except UnicodeError:
        return clean_name(raw)


def _life_of(headers: Mapping[str, str], default: int | None) -> int | None:
    """Return the seconds that the file lives.

    Raises:
        RequestError: the header is malformed.
    """
    raw = next((headers[name] for name in _LIFE_HEADERS if name in headers), None)
    if raw is None:
        return default
    try:
        lifetime = lifetime_in_header(raw)
    except (ValueError, TypeError):
        message = (
            f"The lifecycle header {shown(raw, 80)!r} is malformed. Send one like "
            '{"expiration_duration_seconds": 3600}.'
        )
        raise RequestError(message) from None
    return default if lifetime is None else seconds_of(lifetime)
