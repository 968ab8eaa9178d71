"""Objects in the memory of one process: for tests, and for scripts whose files nobody keeps."""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO

from towpath.errors import ObjectExistsError, ObjectNotFoundError, RangeError
from towpath.storage.objects import Attributes, ObjectInfo, bounds_of

__all__ = ["MemoryObjects"]

_PIECE = 1024 * 1024


class MemoryObjects:
    """An ObjectStore that forgets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}

    def put(
        self, key: str, data: BinaryIO | bytes, attributes: Attributes, *, create: bool = True
    ) -> ObjectInfo:
        """Keep *data*; see `ObjectStore.put`."""
        content = (
            data if isinstance(data, bytes) else b"".join(iter(partial(data.read, _PIECE), b""))
        )
        etag = hashlib.sha256(content).hexdigest()[:32]
        info = ObjectInfo(key, len(content), etag, time.time(), attributes)
        with self._lock:
            if create and key in self._objects:
                raise ObjectExistsError(key)
            self._objects[key] = (content, info)
        return info

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes; see `ObjectStore.get`."""
        content, info = self._found(key)
        bounds = bounds_of(start, stop, info.size)
        if bounds is None:
            raise RangeError(info.size, key=key)
        first, end = bounds
        return (content[at : min(at + _PIECE, end)] for at in range(first, end, _PIECE))

    def head(self, key: str) -> ObjectInfo:
        """Return what is known; see `ObjectStore.head`."""
        return self._found(key)[1]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield what is known; see `ObjectStore.list`."""
        with self._lock:
            found = sorted((key, info) for key, (_, info) in self._objects.items())
        for key, info in found:
            if key.startswith(prefix):
                yield ObjectInfo(key, info.size, info.etag, info.modified)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove; see `ObjectStore.delete`."""
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)

    def _found(self, key: str) -> tuple[bytes, ObjectInfo]:
        """Return an object.

        Raises:
            ObjectNotFoundError: there is none.
        """
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise ObjectNotFoundError(key)
        return found
