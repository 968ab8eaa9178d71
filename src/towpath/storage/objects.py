"""The seam to whatever keeps bytes: a few verbs, the same for a folder, memory and S3."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO, Protocol, runtime_checkable

from towpath.storage.records import StoredFile

__all__ = ["KEY_PATTERN", "Attributes", "ObjectInfo", "ObjectStore", "Signs", "bounds_of"]

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-][A-Za-z0-9._-]{0,198}")
"""What a key looks like: 2 to 200 characters that mean nothing to any disk or URL."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is kept with an object.

    Attributes:
        content_type: as given.
        name: the file's name, any text.
        owner: the app or the key that made it.
        created: when, seconds since 1970.
        expires: the second from which it is gone, or None.
        access: public, forbid or hide.
        sha256: 64 hex digits of the content, where they are known.
    """

    content_type: str = "application/octet-stream"
    name: str = ""
    owner: str = ""
    created: float = 0.0
    expires: int | None = None
    access: str = "public"
    sha256: str = ""

    @classmethod
    def of(cls, record: StoredFile) -> "Attributes":
        """Return what is kept with a stored file."""
        return cls(**{item.name: getattr(record, item.name) for item in fields(cls)})

    def described(self, key: str, size: int, sha256: str) -> StoredFile:
        """Return the stored file that has these."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return StoredFile(**values | {"id": key, "size": size, "sha256": sha256})


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object.

    Attributes:
        key: its key.
        size: bytes.
        etag: changes with the content; '' where the store has none.
        modified: when it was written, seconds since 1970.
        attributes: as given to `put`; None in lists.
    """

    key: str
    size: int
    etag: str
    modified: float
    attributes: Attributes | None = None


class ObjectStore(Protocol):
    """Bytes under a key. Every method may be called from several threads at once.

    All of them raise `StoreUnusableError` when the store does not answer, or refuses us.
    """

    def put(
        self, key: str, data: BinaryIO | bytes, attributes: Attributes, *, create: bool = True
    ) -> ObjectInfo:
        """Keep *data* under *key*: readers see all of it or nothing, and it is durable on return.

        Args:
            key: matches KEY_PATTERN.
            data: the bytes, or a stream of them, read to its end.
            attributes: kept with them.
            create: whether there must be no such object yet; otherwise one is replaced.

        Raises:
            ObjectExistsError: there is one, and *create* was asked for.
            StoreFullError: there is no room.
        """

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from *start* up to *stop* (excluded; None = the end), in pieces.

        A piece is bytes, or another buffer of bytes: a copy of a MiB takes as long as sending it.

        Raises:
            ObjectNotFoundError: at the call, not at the first piece.
            RangeError: the range lies outside the object.
        """

    def head(self, key: str) -> ObjectInfo:
        """Return what is known of an object, with its attributes.

        Raises:
            ObjectNotFoundError: there is none.
        """

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with *prefix*, without their attributes."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over."""


@runtime_checkable
class Signs(Protocol):
    """Beside ObjectStore: a store that hands out URLs of its own."""

    def sign(self, key: str, expires_in: int) -> str:
        """Return a URL from which everybody may read *key* for so many seconds."""


def bounds_of(start: int, stop: int | None, size: int) -> tuple[int, int] | None:
    """Return first byte and the byte after the last, None when they lie outside *size* bytes."""
    end = size if stop is None else stop
    return (start, end) if 0 <= start <= end <= size else None
