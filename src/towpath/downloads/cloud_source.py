"""s3://, gs:// and az://: object stores, by obstore, with the credentials of this process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from urllib.parse import unquote, urlsplit

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
from towpath.errors import InvalidURLError, SourceStatusError, SourceUnavailableError
from towpath.media.names import clean_name

__all__ = ["CloudSource"]

_BUFFER = 256 * 1024
_ADVICE = "Check bucket, key and the credentials of this process."
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
            raise InvalidURLError(url, "object stores take no request_headers")
        bucket, key = _split(url)
        store = _store(urlsplit(url).scheme, bucket)
        options: obstore.GetOptions = {}
        if start or stop is not None:
            options["range"] = {"offset": start} if stop is None else (start, stop)
        if validator is not None:
            options["if_match"] = validator
        result = _got(url, store, key, options)
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


def _split(url: str) -> tuple[str, str]:
    """Return bucket and key."""
    parts = urlsplit(url)
    key = unquote(parts.path).lstrip("/")
    if not parts.netloc or not key or "@" in parts.netloc or parts.query:
        form = f"{parts.scheme}://bucket/key"
        raise InvalidURLError(url, f"give {form}, without a query and credentials")
    return parts.netloc, key


@lru_cache(maxsize=32)
def _store(scheme: str, bucket: str) -> ObjectStore:
    """Return the client of a bucket; it keeps its connections."""
    if scheme == "gs":
        return GCSStore(bucket, client_options={"timeout": _LONGEST})
    if scheme == "az":
        return AzureStore(bucket, client_options={"timeout": _LONGEST})
    return S3Store(bucket, client_options={"timeout": _LONGEST})


def _got(
    url: str, store: ObjectStore, key: str, options: "obstore.GetOptions"
) -> "obstore.GetResult":
    """Ask for an object; what the store says becomes our error."""
    try:
        return obstore.get(store, key, options=options)
    except (NotFoundError, FileNotFoundError):
        raise SourceStatusError(url, 404, _ADVICE) from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise SourceStatusError(url, 403, _ADVICE) from None
    except PreconditionError:
        raise SourceStatusError(url, 412, "The object was replaced meanwhile.") from None
    except obstore.exceptions.BaseError as error:
        raise SourceUnavailableError(url, f"the store does not answer ({_kind(error)})") from None


def _kind(error: BaseException) -> str:
    """Return the kind of an error; its text may hold credentials."""
    return type(error).__name__
