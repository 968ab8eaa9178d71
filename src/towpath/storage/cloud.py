"""Objects in a bucket of any S3 store, through obstore.

A key lies under `<prefix>/<its first two characters>/<key>`. Attributes travel as the object's
own headers and metadata; every upload carries a SHA-256 that the store checks. Who we are comes
from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the other ways that AWS's tools know.
"""

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from typing import BinaryIO, cast
from urllib.parse import quote, unquote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PermissionDeniedError
from obstore.exceptions import UnauthenticatedError as UnknownCallerError
from obstore.store import S3Store

from towpath.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    RangeError,
    StoreUnusableError,
)
from towpath.media.content_types import OCTET_STREAM, is_inline, is_passive
from towpath.media.names import content_disposition
from towpath.storage.objects import Attributes, ObjectInfo, bounds_of
from towpath.store_address import StoreAddress

__all__ = ["CloudObjects", "open_bucket", "takes_anything"]

_PIECE = 1024 * 1024
_PART = 8 * _PIECE
_PARTS_AT_ONCE = 4
_BULK = 1000
_SPREAD = 2
_LONGEST = timedelta(minutes=5)
_CONNECT = timedelta(seconds=5)
_PERSISTENCE = timedelta(seconds=20)
_CACHE = "public, max-age=31536000, immutable"
_NO_CACHE = "no-cache"
_WORDS = ("name", "owner", "created", "expires", "access", "sha256")


def open_bucket(
    address: StoreAddress,
    *,
    headers: dict[str, str] | None = None,
    longest: timedelta = _LONGEST,
) -> S3Store:
    """Return the client of a bucket; it keeps its connections.

    Args:
        address: which one.
        headers: sent with every request.
        longest: what one request may take, its body included.
    """
    given = {"endpoint": address.endpoint, "region": address.region}
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        checksum_algorithm="SHA256",
        client_options={
            "allow_http": (address.endpoint or "").startswith("http:"),
            "timeout": longest,
            "connect_timeout": _CONNECT,
            "default_headers": headers or {},
        },
        retry_config={"max_retries": 4, "retry_timeout": _PERSISTENCE},
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def takes_anything(address: StoreAddress, key: str) -> bool:
    """Return whether a store takes an object whose checksum is wrong; it is removed again."""
    wrong = {"content-md5": b64encode(bytes(16)).decode()}
    objects = CloudObjects(open_bucket(address, headers=wrong), "o")
    try:
        objects.put(key, b"content", Attributes())
    except StoreUnusableError:
        return False
    CloudObjects(open_bucket(address), "o").delete([key])
    return True


class CloudObjects:
    """An ObjectStore, and Signs, over a bucket.

    Args:
        bucket: the client.
        area: a folder of it, so that several stores share a bucket.
        streams: the client for bodies that are read as slowly as somebody takes them.
    """

    def __init__(self, bucket: S3Store, area: str, *, streams: S3Store | None = None) -> None:
        self._bucket = bucket
        self._streams = streams or bucket
        self._area = area

    def put(
        self, key: str, data: BinaryIO | bytes, attributes: Attributes, *, create: bool = True
    ) -> ObjectInfo:
        """Keep *data*; see `ObjectStore.put`. Above 8 MiB *create* is looked up, not enforced."""
        head, rest = _begun(data)
        with _telling(key):
            if rest is None:
                tag = self._put_whole(key, head, attributes, create=create)
                return ObjectInfo(key, len(head), tag, attributes.created, attributes)
            if create and self._is_there(key):
                raise ObjectExistsError(key)
            tag, size = self._put_parts(key, head, rest, attributes)
            return ObjectInfo(key, size, tag, attributes.created, attributes)

    def _put_whole(self, key: str, data: bytes, attributes: Attributes, *, create: bool) -> str:
        """Send a small object in one request; return its validator."""
        answer = obstore.put(
            self._bucket,
            self._path(key),
            data,
            attributes=_headers_of(attributes),
            mode="create" if create else "overwrite",
            use_multipart=False,
        )
        return _tag(answer["e_tag"])

    def _put_parts(
        self, key: str, head: bytes, rest: BinaryIO, attributes: Attributes
    ) -> tuple[str, int]:
        """Send a large object in parts; return its validator and its size."""
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            piece = head
            while piece:
                size += len(piece)
                yield piece
                piece = _filled(rest)

        answer = obstore.put(
            self._bucket,
            self._path(key),
            pieces(),
            attributes=_headers_of(attributes),
            chunk_size=_PART,
            max_concurrency=_PARTS_AT_ONCE,
        )
        return _tag(answer["e_tag"]), size

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes; see `ObjectStore.get`."""
        if not start and stop is None:
            return self._streamed(key, self._asked(key, {}))
        if stop is None or not 0 <= start < stop:
            start, stop = self._bounds(key, start, stop)
            if start == stop:
                return iter(())
        try:
            if stop - start <= _PIECE:
                return iter((self._piece(key, start, stop),))
            answer = self._asked(key, {"range": (start, stop)})
        except StoreUnusableError:
            self._bounds(key, start, stop)
            raise
        if answer.range != (start, stop):
            raise RangeError(answer.meta["size"], key=key)
        return self._streamed(key, answer)

    def _asked(self, key: str, options: "obstore.GetOptions") -> "obstore.GetResult":
        """Ask for an object."""
        with _telling(key):
            return obstore.get(self._streams, self._path(key), options=options)

    def _piece(self, key: str, start: int, stop: int) -> bytes:
        """Return a small part, in one go."""
        with _telling(key):
            piece = obstore.get_range(self._bucket, self._path(key), start=start, end=stop)
        if len(piece) != stop - start:
            raise RangeError(self.head(key).size, key=key)
        return cast("bytes", piece)

    def _bounds(self, key: str, start: int, stop: int | None) -> tuple[int, int]:
        """Return the bounds of a range; RangeError if they lie outside the object."""
        size = self.head(key).size
        bounds = bounds_of(start, stop, size)
        if bounds is None:
            raise RangeError(size, key=key)
        return bounds

    def _streamed(self, key: str, answer: "obstore.GetResult") -> Iterator[bytes]:
        """Yield a body."""
        with _telling(key):
            yield from answer.stream(min_chunk_size=_PIECE)

    def head(self, key: str) -> ObjectInfo:
        """Return what is known; see `ObjectStore.head`."""
        with _telling(key):
            answer = obstore.get(self._bucket, self._path(key), options={"head": True})
        attributes = _attributes_of({str(n).lower(): v for n, v in answer.attributes.items()})
        return _info(key, answer.meta, attributes)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield what is known; see `ObjectStore.list`."""
        folder = f"{self._area}/{prefix[:_SPREAD]}" if len(prefix) >= _SPREAD else self._area
        with _telling(prefix):
            for page in obstore.list(self._bucket, folder, chunk_size=_BULK):
                for meta in page:
                    key = meta["path"].rpartition("/")[2]
                    if key.startswith(prefix):
                        yield _info(key, meta, None)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove; see `ObjectStore.delete`."""
        left = iter(keys)
        while bulk := [self._path(key) for key in islice(left, _BULK)]:
            with _telling(bulk[0]), suppress(ObjectNotFoundError):
                obstore.delete(self._bucket, bulk)

    def sign(self, key: str, expires_in: int) -> str:
        """Return a URL of the store's own; see `Signs.sign`."""
        return obstore.sign(self._bucket, "GET", self._path(key), timedelta(seconds=expires_in))

    def _path(self, key: str) -> str:
        """Return where an object lies in the bucket."""
        return f"{self._area}/{key[:_SPREAD]}/{key}"

    def _is_there(self, key: str) -> bool:
        """Return whether there is such an object."""
        try:
            obstore.head(self._bucket, self._path(key))
        except (FileNotFoundError, NotFoundError):
            return False
        return True


def _begun(data: BinaryIO | bytes) -> tuple[bytes, BinaryIO | None]:
    """Return the first part of *data*, and the stream if there may be more."""
    if isinstance(data, bytes):
        if len(data) <= _PART:
            return data, None
        data = io.BytesIO(data)
    head = _filled(data)
    return head, data if len(head) == _PART else None


def _filled(stream: BinaryIO) -> bytes:
    """Read a whole part, or all there is; a stream may give less than it is asked for."""
    part = bytearray()
    while len(part) < _PART and (piece := stream.read(_PART - len(part))):
        part += piece
    return bytes(part)


@contextmanager
def _telling(key: str) -> Iterator[None]:
    """Say what the store says with our errors; its own texts may hold what nobody is to read."""
    try:
        yield
    except AlreadyExistsError:
        raise ObjectExistsError(key) from None
    except (FileNotFoundError, NotFoundError) as error:
        if isinstance(error, ObjectNotFoundError):
            raise
        raise ObjectNotFoundError(key) from None
    except (PermissionDeniedError, UnknownCallerError):
        reason = "The store refuses us. Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and bucket."
        raise StoreUnusableError(reason, key=key) from None
    except BaseError as error:
        reason = (
            f"The store does not answer as it should ({type(error).__name__}). Try again; if it "
            "stays so, ask `towpath store check`."
        )
        raise StoreUnusableError(reason, key=key) from None


def _headers_of(attributes: Attributes) -> "obstore.Attributes":
    """Return attributes as S3 keeps them: metadata in ASCII, and what its own answers say."""
    kind = attributes.content_type
    inline = "inline" if is_inline(kind) and is_passive(kind) else "attachment"
    values = {word: getattr(attributes, word) for word in _WORDS} | {"type": kind}
    return {
        word: quote(str(value)) for word, value in values.items() if value not in {None, ""}
    } | {
        "Content-Type": kind if is_passive(kind) else OCTET_STREAM,
        "Content-Disposition": content_disposition(inline, attributes.name),
        "Cache-Control": _NO_CACHE if attributes.expires is not None else _CACHE,
    }


def _attributes_of(headers: dict[str, str]) -> Attributes:
    """Read attributes; an object of somebody else's has few."""
    found = {word: unquote(headers[word]) for word in _WORDS if word in headers}
    expires = found.pop("expires", "")
    created = found.pop("created", "")
    return Attributes(
        content_type=unquote(headers.get("type") or headers.get("content-type", OCTET_STREAM)),
        created=float(created) if created else 0.0,
        expires=int(expires) if expires else None,
        **found,
    )


def _info(key: str, meta: "obstore.ObjectMeta", attributes: Attributes | None) -> ObjectInfo:
    """Read what the store says of an object."""
    when = meta["last_modified"].timestamp()
    return ObjectInfo(key, meta["size"], _tag(meta["e_tag"]), when, attributes)


def _tag(etag: str | None) -> str:
    return (etag or "").strip('"')
