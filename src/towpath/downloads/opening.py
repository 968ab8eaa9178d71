"""Choose the source that a URL names, and open it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import BinaryIO

from towpath.downloads.http_source import open_http
from towpath.downloads.reuse import Facts, Head
from towpath.downloads.sources import Opened
from towpath.errors import (
    InvalidURLError,
    ObjectExpiredError,
    ObjectNotFoundError,
    SourceStatusError,
)
from towpath.media import data_uri
from towpath.media.content_types import extension_of
from towpath.net.guard import Guard
from towpath.net.origin import Origin
from towpath.net.policy import AddressPolicy
from towpath.settings import active
from towpath.storage.hosting import Hosting, current_hosting

__all__ = ["Wanted", "open_source"]

_BUFFER = 1024 * 1024
_MOST_INLINE = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        url: http, https or data:.
        headers: request headers of the caller; they stay with the first origin.
        limit: bytes that the file may have.
        patience: seconds without a useful amount of bytes.
        allow_hosts: hosts allowed beside those of the settings.
    """

    url: str
    headers: Mapping[str, str]
    limit: int | None = None
    patience: float = 15.0
    allow_hosts: tuple[str, ...] = ()


def open_source(wanted: Wanted, known: Facts | None = None) -> Opened:
    """Open the URL: inline data, one of our own files, or a stranger's server.

    Raises:
        DownloadError: one of its kinds.
    """
    if not isinstance(wanted.url, str):
        raise InvalidURLError(str(wanted.url), "a URL is a text")
    if data_uri.is_data_uri(wanted.url):
        return _inline(wanted)
    hosting = current_hosting()
    file_id = hosting.id_in(wanted.url) if hosting is not None else None
    if hosting is not None and file_id is not None:
        return _own(wanted.url, hosting, file_id)
    return open_http(_origin(wanted), wanted.url, headers=wanted.headers, known=known)


def _origin(wanted: Wanted) -> Origin:
    """Return the guarded client for this call."""
    settings = active()
    policy = AddressPolicy((*settings.allow_hosts, *wanted.allow_hosts))
    agent = settings.user_agent or f"towpath/{version('towpath')}"
    return Origin(Guard(policy), agent, patience=wanted.patience)


def _inline(wanted: Wanted) -> Opened:
    """Decode a data: URI."""
    limit = _MOST_INLINE if wanted.limit is None else wanted.limit
    data, kind = data_uri.parse(wanted.url, limit=limit)
    # The name is the key of the URI and the extension of its type: see downloads.download.
    head = Head(wanted.url, "", len(data), kind)
    return Opened(head, lambda: iter([data]), lambda: None)


def _own(url: str, hosting: Hosting, file_id: str) -> Opened:
    """Open a file of our own store: no connection, the same checks as over HTTP."""
    try:
        record, stream = hosting.open(file_id)
    except ObjectNotFoundError:
        raise SourceStatusError(url, 404, "There is no such file on this server.") from None
    except ObjectExpiredError as error:
        raise SourceStatusError(url, 410, f"The file expired at {error.expired_at}.") from None
    name = record.name or f"{file_id}.{extension_of(record.content_type)}"
    head = Head(url, name, record.size, record.content_type, etag=f'"{record.sha256[:32]}"')
    return Opened(head, partial(_chunks, stream), stream.close)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield an open file."""
    while chunk := stream.read(_BUFFER):
        yield chunk
