"""Files in an object store: one object each, with what is known of it as its attributes.

    files   one object a file; written in one go, so there are no halves
    lives   a small object for each file whose life was changed since: attributes cannot be

Drafts and reserved places lie in a folder of this machine.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from typing_extensions import Buffer, override

from towpath.errors import ObjectNotFoundError
from towpath.storage.background import in_background
from towpath.storage.blobs import Listed
from towpath.storage.disk import Disk
from towpath.storage.local import LocalStore
from towpath.storage.objects import Attributes, ObjectInfo, ObjectStore, Signs
from towpath.storage.records import ID_PATTERN, StoredFile
from towpath.storage.staging import Describe, Incoming, NewFile, Staged

__all__ = ["RemoteBlobs"]

_BATCH = 500
_SPREAD = 2


class RemoteBlobs:
    """The Blobs of an object store.

    Args:
        files: where the files go.
        lives: where changed lives are written down.
        root: a folder of this machine.
        reserve: bytes of free space that a draft leaves there; None is max(1 GiB, 5 %).
    """

    is_local = False

    def __init__(
        self, files: ObjectStore, lives: ObjectStore, root: Path, *, reserve: int | None = None
    ) -> None:
        self._files = files
        self._lives = lives
        self._signer = files if isinstance(files, Signs) else None
        self._drafts = LocalStore(root, reserve=reserve, disk=Disk(is_durable=False))
        self.root = root

    # --- saving ---

    def stage(self, new: NewFile, describe: Describe) -> Staged:
        """Take a file: its digest is sent with it, so that it is read once before."""
        return self._drafts.draft(new, describe)

    def incoming(self) -> Incoming:
        """Begin a file whose bytes come one after the other."""
        return self._drafts.incoming()

    def publish(self, staged: Staged, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Send a staged file."""
        try:
            with staged.path.open("rb") as draft:
                self._files.put(staged.id, draft, Attributes.of(staged.record()))
        finally:
            staged.discard()
        meanwhile()

    def hold(self, file_id: str) -> None:
        """Remember that *file_id* was handed out, on this machine."""
        self._drafts.hold(file_id)

    def is_held(self, file_id: str) -> bool:
        """Return whether *file_id* was handed out here and its bytes are still to come."""
        return self._drafts.is_held(file_id)

    def release(self, file_id: str) -> bool:
        """Forget a place; return False when it was not there any more."""
        return self._drafts.release(file_id)

    # --- reading ---

    def open(self, file_id: str) -> BinaryIO:
        """Open the bytes; they are fetched as they are read, once, from the first on."""
        return io.BufferedReader(_Stream(self._files.get(file_id)), io.DEFAULT_BUFFER_SIZE)

    def pieces(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield some bytes."""
        return self._files.get(file_id, start=start, stop=stop)

    def sign(self, file_id: str, seconds: int) -> str | None:
        """Return a URL of the store's own, None where it has none."""
        return self._signer.sign(file_id, seconds) if self._signer is not None else None

    def record_of(self, file_id: str) -> StoredFile | None:
        """Return what is known of a file, if it is there."""
        if not ID_PATTERN.fullmatch(file_id):
            return None
        record = self._head(file_id)
        return record and (self._changed(file_id) or record)

    def records_of(self, ids: Iterable[str]) -> list[StoredFile]:
        """Return what is known of listed files, several asked for at once."""
        wanted = list(ids)
        changed = {info.key for info in self._lives.list()} if wanted else set()
        asked = [
            in_background(partial(self.record_of if each in changed else self._head, each))
            for each in wanted
        ]
        for each in asked:
            each.wait()
        return [record for each in asked if (record := each.result()) is not None]

    def _head(self, file_id: str) -> StoredFile | None:
        """Return what an object's attributes say of a file."""
        try:
            return _record(self._files.head(file_id))
        except ObjectNotFoundError:
            return None

    def _changed(self, file_id: str) -> StoredFile | None:
        """Return what was written down since, None if nothing was."""
        try:
            content = b"".join(self._lives.get(file_id))
        except ObjectNotFoundError:
            return None
        return StoredFile.from_json(json.loads(content))

    def listed(self) -> Iterator[Listed]:
        """Yield what lies in the store, some hundred files after the other."""
        batch: list[str] = []
        for info in self._files.list():
            batch.append(info.key)
            if len(batch) == _BATCH:
                yield Listed(batch)
                batch = []
        yield Listed(batch)

    def missing(self, ids: list[str]) -> list[str]:
        """Return those of *ids* that a list of the store lacks."""
        lacking: list[str] = []
        for prefix, group in groupby(sorted(ids), key=lambda file_id: file_id[:_SPREAD]):
            there = {info.key for info in self._files.list(prefix)}
            lacking += [file_id for file_id in group if file_id not in there]
        return lacking

    # --- changing ---

    def rewrite(self, record: StoredFile) -> None:
        """Write down what is known of a file from now on."""
        content = json.dumps(record.to_json()).encode()
        self._lives.put(record.id, content, Attributes("application/json"), create=False)

    def delete(self, ids: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""
        gone = list(ids)
        self._files.delete(gone)
        self._lives.delete(gone)

    def lay_out(self) -> None:
        """Do nothing: a bucket has no folders."""

    def sweep(self, *, older_than: float) -> int:
        """Remove drafts and places that killed processes left."""
        return self._drafts.sweep(older_than=older_than)

    def reserve(self, total: int) -> int:
        """Return the bytes that stay free on a disk of *total* bytes."""
        return self._drafts.reserve(total)


def _record(info: ObjectInfo) -> StoredFile:
    """Read an object's attributes."""
    attributes = info.attributes or Attributes()
    return attributes.described(info.key, info.size, attributes.sha256)


class _Stream(io.RawIOBase):
    """Pieces as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    @override
    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    @override
    def readinto(self, buffer: Buffer) -> int:
        """Fill *buffer* with what there is; 0 at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
