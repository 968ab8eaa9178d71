"""Choose the source that a URL names."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import BinaryIO

from towpath.downloads.http_source import HttpSource
from towpath.downloads.hub_source import hub_request
from towpath.downloads.reuse import Head
from towpath.downloads.sources import Ask, Opened, Source, registered_schemes, registered_source
from towpath.downloads.wanted import Wanted
from towpath.errors import (
    DownloadError,
    InvalidURLError,
    ObjectExpiredError,
    ObjectNotFoundError,
    SourceStatusError,
    SourceUnavailableError,
)
from towpath.errors.redaction import shown
from towpath.media import data_uri
from towpath.media.content_types import extension_of
from towpath.net.guard import Guard
from towpath.net.origin import Origin
from towpath.net.patience import Watch
from towpath.net.policy import AddressPolicy
from towpath.net.proxies import parse_proxy
from towpath.net.telling import tell_operator
from towpath.settings import active
from towpath.storage.hosting import Hosting, current_hosting

__all__ = ["Opener", "all_schemes", "opener_of", "scheme_of"]

Opener = Callable[[Ask, Watch], Opened]
"""Opens one URL, as often as a download needs it."""

_BUFFER = 1024 * 1024
_CLOUD = frozenset({"s3", "gs", "az"})


def opener_of(wanted: Wanted) -> Opener:
    """Return what opens the URL: inline data, one of our own files, or a server.

    Raises:
        InvalidURLError: it is no URL, or its scheme may not be used by this call.
    """
    url = wanted.url
    if data_uri.is_data_uri(url):
        return lambda _ask, _watch: _inline(wanted)
    hosting = current_hosting()
    file_id = hosting.id_in(url) if hosting is not None else None
    if hosting is not None and file_id is not None:
        return lambda _ask, _watch: _own(url, hosting, file_id)
    scheme = scheme_of(url)
    if scheme in {"http", "https"} or not _is_special(scheme):
        return HttpSource(_origin(wanted), url, wanted.headers).open
    if scheme not in wanted.sources:
        raise _not_asked_for(url, shown(scheme, 20))
    return _special(wanted, scheme)


def _not_asked_for(url: str, scheme: str) -> InvalidURLError:
    """Return the error for a scheme that this call may not use."""
    reason = f"its scheme is {scheme!r}. Use http or https."
    advice = f"Pass sources={{{scheme!r}}} to read it with the credentials of this process."
    error = InvalidURLError(url, reason, advice=advice)
    tell_operator(error, f"TOWPATH_SOURCES={scheme} lets every call read {scheme}://")
    return error


def all_schemes() -> frozenset[str]:
    """Return every scheme that has to be asked for."""
    return _CLOUD | {"hf"} | registered_schemes()


def scheme_of(url: str) -> str:
    """Return the scheme of *url* in lower case, or ''."""
    scheme, separator, _ = url.strip().partition("://")
    return scheme.lower() if separator and scheme.isascii() else ""


def _is_special(scheme: str) -> bool:
    """Return whether the scheme is one that needs to be asked for."""
    return scheme == "hf" or scheme in _CLOUD or registered_source(scheme) is not None


def _special(wanted: Wanted, scheme: str) -> Opener:
    """Return the opener of a scheme that the author asked for."""
    if not wanted.url.isprintable():
        reason = "the URL has control characters in it, or parts of characters; percent-encode them"
        raise InvalidURLError(wanted.url, reason)
    own = registered_source(scheme)
    if own is None and scheme == "hf":
        url, headers, name = hub_request(wanted.url)
        return HttpSource(_origin(wanted), url, headers | dict(wanted.headers), name).open
    if own is None:
        own = _cloud(wanted.url)
    return partial(_through, own, wanted)


def _cloud(url: str) -> Source:
    """Return the source of object stores."""
    try:
        module = import_module("towpath.downloads.cloud_source")
    except ImportError:
        reason = "object stores are not read here. Use http or https."
        advice = "Install the cloud extra to read them: pip install 'towpath[cloud]'."
        raise InvalidURLError(url, reason, advice=advice) from None
    source: Source = module.CloudSource()
    return source


def _through(source: Source, wanted: Wanted, ask: Ask, watch: Watch) -> Opened:
    """Open a URL by a source that follows the Protocol."""
    stack = ExitStack()
    manager = source.open(
        wanted.url,
        headers=wanted.headers,
        start=ask.start,
        stop=ask.stop,
        validator=ask.validator,
    )
    opened = stack.enter_context(manager)
    beside = partial(_through, source, wanted) if opened.head.ranges else None
    chunks = partial(_watched, wanted.url, opened.chunks, watch)
    return replace(opened, chunks=chunks, close=stack.close, beside=beside)


def _watched(
    url: str, chunks: Callable[[], Iterator[bytes | memoryview]], watch: Watch
) -> Iterator[bytes | memoryview]:
    """Pass a body on; what breaks in it is a broken connection."""
    try:
        for piece in chunks():
            yield piece
            watch.patience.remaining()
    except DownloadError:
        raise
    except OSError as error:
        reason = f"the connection broke ({error.strerror or type(error).__name__})"
        raise SourceUnavailableError(url, reason) from None


def _origin(wanted: Wanted) -> Origin:
    """Return the guarded client for this call."""
    settings = active()
    policy = AddressPolicy((*settings.allow_hosts, *wanted.allow_hosts))
    proxy = parse_proxy(wanted.proxy) if wanted.proxy is not None else None
    agent = settings.user_agent or f"towpath/{_version()}"
    return Origin(Guard(policy, proxy=proxy), agent, patience=wanted.patience)


class _Version:
    """Read once: looking it up opens files."""

    text: str | None = None


def _version() -> str:
    """Return our own version."""
    if _Version.text is None:
        _Version.text = version("towpath")
    return _Version.text


def _inline(wanted: Wanted) -> Opened:
    """Decode a data: URI."""
    limit = data_uri.MOST_INLINE if wanted.limit is None else wanted.limit
    data, kind = data_uri.parse(wanted.url, limit=limit)
    # The name is the key of the URI and the extension of its type: see downloads.errand.
    head = Head(wanted.url, "", len(data), kind)
    return Opened(head, lambda: iter([data]))


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
