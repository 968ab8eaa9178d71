"""The store of files: blobs with sidecars, and the index over them."""

import base64
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from towpath.clock import Clock, system_clock
from towpath.errors import ObjectNotFoundError
from towpath.storage.catalog import open_catalog
from towpath.storage.local import LocalStore
from towpath.storage.records import ID_PATTERN, StoredFile
from towpath.storage.staging import Incoming, NewFile

__all__ = ["FileStore", "new_file_id"]

_BATCH = 500
_LEFTOVER_SECONDS = 3600.0


def new_file_id() -> str:
    """Return a fresh id: 160 random bits."""
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


class FileStore:
    """Files in a folder: saved durably, found by id, gone from the second they expire.

    Several processes of one machine may use the same folder.
    """

    def __init__(
        self,
        root: Path,
        *,
        reserve: int | None = None,
        clock: Clock = system_clock,
        new_id: Callable[[], str] = new_file_id,
    ) -> None:
        self.blobs = LocalStore(root, reserve=reserve)
        self._clock = clock
        self._new_id = new_id
        self._catalog = open_catalog(root / "index.db")

    def save(self, new: NewFile) -> StoredFile:
        """Save a file; durable, and readable by everybody, when this returns.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            ObjectNotFoundError: its reserved place was given up or completed before.
        """
        if new.reserved is not None and not self.blobs.is_held(new.reserved):
            raise ObjectNotFoundError(new.reserved)
        staged = self.blobs.stage(new.data, partial(self._described, new), move=new.move)
        if new.reserved is not None and not self.blobs.release(new.reserved):
            staged.discard()
            raise ObjectNotFoundError(new.reserved)
        self.blobs.publish(staged, lambda: self._catalog.add([staged.record]))
        return staged.record

    def _described(self, new: NewFile, size: int, sha256: str) -> StoredFile:
        """Return what is known of a new file."""
        now = self._clock()
        return StoredFile(
            id=new.reserved or self._new_id(),
            name=new.name,
            content_type=new.content_type,
            size=size,
            sha256=sha256,
            created=now,
            expires=None if new.lifetime is None else int(now) + new.lifetime,
            owner=new.owner,
        )

    def incoming(self) -> Incoming:
        """Begin a file whose bytes come one after the other; save it as the data of a NewFile."""
        return self.blobs.incoming()

    def hold(self) -> str:
        """Make a place for a file that is still to come; return its id."""
        file_id = self._new_id()
        self.blobs.hold(file_id)
        return file_id

    def release(self, file_id: str) -> None:
        """Give a place up."""
        self.blobs.release(file_id)

    def find(self, file_id: str) -> StoredFile:
        """Return what is known of *file_id*.

        Raises:
            ObjectNotFoundError: there is no such file.
            ObjectExpiredError: its life is over.
        """
        record = self._catalog.find(file_id) if ID_PATTERN.fullmatch(file_id) else None
        if record is None:
            record = self.blobs.read_sidecar(file_id)
            if record is None:
                raise ObjectNotFoundError(file_id, is_pending=self.blobs.is_held(file_id))
            self._catalog.add([record])
        return record.checked(self._clock())

    def open(self, record: StoredFile) -> BinaryIO:
        """Open the bytes of *record*.

        Raises:
            ObjectNotFoundError: they were removed.
        """
        try:
            return self.blobs.open(record.id)
        except FileNotFoundError:
            record.checked(self._clock())
            raise ObjectNotFoundError(record.id) from None

    def totals(self) -> tuple[int, int]:
        """Return how many files there are and their bytes."""
        return self._catalog.totals()

    def sweep_expired(self) -> int:
        """Remove the bytes of files whose life is over; return how many."""
        removed = 0
        while batch := self._catalog.expired(self._clock(), limit=_BATCH):
            for record in batch:
                self.blobs.delete(record.id)
            self._catalog.mark_gone(record.id for record in batch)
            removed += len(batch)
        return removed

    def recover(self) -> int:
        """Index every whole file on disk and remove what killed saves left; return the leftovers.

        Serving need not wait for this: a file that the index lacks is found by its sidecar.
        """
        batch: list[StoredFile] = []
        for record in self.blobs.walk():
            batch.append(record)
            if len(batch) == _BATCH:
                self._catalog.add(batch)
                batch.clear()
        self._catalog.add(batch)
        return self.blobs.sweep(older_than=time.time() - _LEFTOVER_SECONDS)

    def close(self) -> None:
        """Close the index."""
        self._catalog.close()
