"""s3://, gs:// and az://: object stores, by obstore, with the credentials of this process."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from urllib.parse import unquote

import obstore
from obstore.exceptions import (
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from towpath.downloads.reuse import Head
from towpath.downloads.sources import Opened
from towpath.errors import DownloadError, InvalidURLError, SourceStatusError, SourceUnavailableError
from towpath.media.names import clean_name

__all__ = ["CloudSource"]

_BUFFER = 256 * 1024
_HINT = "Check bucket and key."
_ADVICE = "Check the credentials of this process."
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_LONGEST = timedelta(hours=12)


class CloudSource:
    """Reads objects; the store's usual environment variables say how to sign in."""

    schemes = frozenset({"s3", "gs", "az"})

    @contextmanager
    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        start: int = 0,
        stop: int | None = None,
        validator: str | None = None,
    ) -> Iterator[Opened]:
        """Open an object, or a part of it; see `Source.open`."""
        if headers:
            raise InvalidURLError(url, "object stores take no request headers")
        scheme, bucket, key = _split(url)
        options: obstore.GetOptions = {}
        if start or stop is not None:
            options["range"] = {"offset": start} if stop is None else (start, stop)
        if validator is not None:
            options["if_match"] = validator
        result = _got(url, (scheme, bucket), key, options)
        meta = result.meta
        etag = meta["e_tag"]
        head = Head(
            url=url,
            name=clean_name(key.rpartition("/")[2]),
            size=meta["size"],
            content_type=str(result.attributes.get("Content-Type") or "") or None,
            etag=etag if etag is None or etag.startswith(('"', "W/")) else f'"{etag}"',
            last_modified=meta["last_modified"].isoformat(),
            ranges=True,
        )

        def chunks() -> Iterator[bytes | memoryview]:
            try:
                for piece in result.stream(min_chunk_size=_BUFFER):
                    yield memoryview(piece)
            except obstore.exceptions.BaseError as error:
                raise SourceUnavailableError(url, f"the transfer broke ({_kind(error)})") from None

        yield Opened(head, chunks, start=result.range[0])


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme, bucket and key; a bucket becomes a part of a host, so it is a plain name."""
    scheme, _, rest = url.strip().partition("://")
    bucket, _, path = rest.partition("/")
    key = unquote(path).lstrip("/")
    if not _BUCKET.fullmatch(bucket) or not key or "?" in path or "#" in path:
        form = f"{scheme}://bucket/key"
        raise InvalidURLError(url, f"give {form}, without a query and credentials")
    return scheme.lower(), bucket, key


@lru_cache(maxsize=32)
def _store(scheme: str, bucket: str) -> ObjectStore:
    """Return the client of a bucket; it keeps its connections."""
    if scheme == "gs":
        return GCSStore(bucket, client_options={"timeout": _LONGEST})
    if scheme == "az":
        return AzureStore(bucket, client_options={"timeout": _LONGEST})
    return S3Store(bucket, client_options={"timeout": _LONGEST})


def _store_of(url: str, scheme: str, bucket: str) -> ObjectStore:
    """Return the client of a bucket; without what it needs to know there is none."""
    try:
        return _store(scheme, bucket)
    except obstore.exceptions.BaseError as error:
        reason = f"{scheme}:// cannot be read by this server."
        advice = f"Its environment does not say how to sign in ({_kind(error)}). {_ADVICE}"
        raise DownloadError(url, reason, advice=advice) from None


def _got(
    url: str, store: tuple[str, str], key: str, options: "obstore.GetOptions"
) -> "obstore.GetResult":
    """Ask for an object; what the store says becomes our error."""
    try:
        return obstore.get(_store_of(url, *store), key, options=options)
    except ValueError:
        raise InvalidURLError(url, "its key is not one that object stores have") from None
    except (NotFoundError, FileNotFoundError):
        raise SourceStatusError(url, 404, _HINT, advice=_ADVICE) from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise SourceStatusError(url, 403, _HINT, advice=_ADVICE) from None
    except PreconditionError:
        raise SourceStatusError(url, 412, "The object was replaced meanwhile.") from None
    except obstore.exceptions.BaseError as error:
        raise SourceUnavailableError(url, f"the store does not answer ({_kind(error)})") from None


def _kind(error: BaseException) -> str:
    """Return the kind of an error; its text may hold credentials."""
    return type(error).__name__
