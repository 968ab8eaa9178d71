"""Objects in a folder: the LocalStore's blobs and sidecars behind the verbs of the seam."""

import fcntl
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from towpath.errors import ObjectExistsError, ObjectNotFoundError, RangeError
from towpath.storage.local import LocalStore
from towpath.storage.objects import Attributes, ObjectInfo, bounds_of
from towpath.storage.staging import NewFile

__all__ = ["FolderObjects"]


class FolderObjects:
    """An ObjectStore over a folder.

    Args:
        store: the folder.
    """

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def put(
        self, key: str, data: BinaryIO | bytes, attributes: Attributes, *, create: bool = True
    ) -> ObjectInfo:
        """Keep *data*; see `ObjectStore.put`."""
        new = NewFile(data, attributes.name, attributes.content_type)
        staged = self._store.draft(new, partial(attributes.described, key))
        if not create:
            self._store.publish(staged)
            return self.head(key)
        with (self._store.root / "lock.put").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._store.blob(key).exists():
                staged.discard()
                raise ObjectExistsError(key)
            self._store.publish(staged)
        return self.head(key)

    def get(self, key: str, *, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield bytes; see `ObjectStore.get`."""
        info = self._listed(key)
        if info is None:
            raise ObjectNotFoundError(key)
        bounds = bounds_of(start, stop, info.size)
        if bounds is None:
            raise RangeError(info.size, key=key)
        try:
            return self._store.pieces(key, *bounds)
        except FileNotFoundError:
            raise ObjectNotFoundError(key) from None

    def head(self, key: str) -> ObjectInfo:
        """Return what is known; see `ObjectStore.head`."""
        record = self._store.read_listed(key)
        info = self._listed(key)
        if record is None or info is None:
            raise ObjectNotFoundError(key)
        return replace(info, attributes=Attributes.of(record))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield what is known; see `ObjectStore.list`."""
        for listed in self._store.listed():
            for key in sorted(listed.whole):
                info = self._listed(key) if key.startswith(prefix) else None
                if info is not None:
                    yield info

    def delete(self, keys: Iterable[str]) -> None:
        """Remove; see `ObjectStore.delete`."""
        self._store.delete(keys)

    def _listed(self, key: str) -> ObjectInfo | None:
        """Return what the disk says of an object; None if it is not there."""
        try:
            told = self._store.blob(key).stat()
        except FileNotFoundError:
            return None
        return ObjectInfo(key, told.st_size, f"{told.st_ino:x}-{told.st_mtime_ns:x}", told.st_mtime)
