"""Blobs in a folder, each with a sidecar: the part of the store that survives everything.

    o/ab/abcdef…        the bytes; their presence is the commit point
    m/ab/abcdef….json   the sidecar: all that is needed to rebuild the index
    tmp/                everything is born here, on the same file system

A save writes and syncs the blob, and its sidecar beside it, renames the sidecar, renames the blob,
and syncs both folders side by side: a file system writes several syncs down at once. Nobody waits
for the disk who has something to do: the digest is computed while the blob is written, the index
gets its row while the folders are synced. Killed anywhere in between a save leaves rubbish in tmp/
or a sidecar without a blob; both are swept.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from towpath.errors import StoreFullError, StoreUnusableError
from towpath.settings import reserve_of
from towpath.storage.disk import all_of, synced, write, written
from towpath.storage.records import ID_PATTERN, StoredFile

__all__ = ["LocalStore", "Staged"]

_BUFFER = 1024 * 1024
_FORMAT = "1\n"
_RESERVED_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes on their way into tmp/, with their size and digest known.

    Attributes:
        path: where.
        size: bytes.
        sha256: 64 hex digits.
        synced: done once they are durable there.
    """

    path: Path
    size: int
    sha256: str
    synced: "Future[None]"


class LocalStore:
    """A folder of blobs and sidecars.

    Args:
        root: the folder; made with mode 0700 when missing.
        reserve: bytes of free space that a save must leave; None is max(1 GiB, 5 %).
    """

    def __init__(self, root: Path, *, reserve: int | None = None) -> None:
        self.root = root
        self._reserve = reserve
        self._prepare()

    def _prepare(self) -> None:
        """Make the folders."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ("o", "m", "tmp", "up"):
                (self.root / part).mkdir(exist_ok=True, mode=0o700)
            version = self.root / "format"
            if not version.exists():
                version.write_text(_FORMAT)
        except OSError as error:
            reason = f"The store's folder {self.root} cannot be used: {error.strerror}."
            raise StoreUnusableError(reason) from None
        if version.read_text() != _FORMAT:
            reason = f"The store in {self.root} was made by another version of towpath."
            raise StoreUnusableError(reason)

    # --- saving ---

    def stage(self, data: bytes | Path | BinaryIO, *, move: bool = False) -> Staged:
        """Bring *data* into tmp/; with *move* a path on the same disk is linked."""
        path = self.root / "tmp" / f"{os.getpid()}-{secrets.token_hex(16)}"
        try:
            if isinstance(data, bytes):
                return self._stage_bytes(path, data)
            if isinstance(data, Path):
                return self._stage_path(path, data, move=move)
            return self._stage_stream(path, data)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _stage_bytes(self, path: Path, data: bytes) -> Staged:
        """Write bytes; their digest is computed meanwhile."""
        self._check_room(len(data))
        syncing = written(path, data)
        return Staged(path, len(data), hashlib.sha256(data).hexdigest(), syncing)

    def _stage_path(self, path: Path, source: Path, *, move: bool) -> Staged:
        """Link or copy a file."""
        if move and _is_linked(source, path):
            return _staged_link(path)
        with source.open("rb") as stream:
            self._check_room(os.fstat(stream.fileno()).st_size)
            return self._stage_stream(path, stream)

    def _stage_stream(self, path: Path, stream: BinaryIO) -> Staged:
        """Copy a stream."""
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as file:
            while chunk := stream.read(_BUFFER):
                self._check_room(len(chunk))
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        return Staged(path, size, digest.hexdigest(), synced(path))

    @contextmanager
    def committing(self, staged: Staged, record: StoredFile) -> Iterator[None]:
        """Put staged bytes under their id: there in the block, durable after it.

        Raises:
            OSError: they could not be made durable.
        """
        blob, sidecar = self.blob(record.id), self._sidecar(record.id)
        draft = staged.path.with_suffix(".json")
        try:
            folders = [*_made(sidecar.parent), *_made(blob.parent)]
            write(draft, json.dumps(record.to_json()).encode())
            staged.synced.result()
            draft.replace(sidecar)
            staged.path.replace(blob)
        except BaseException:
            draft.unlink(missing_ok=True)
            self.discard(staged)
            raise
        syncing = [synced(folder) for folder in folders]
        try:
            yield
        finally:
            all_of(syncing)

    def discard(self, staged: Staged) -> None:
        """Remove staged bytes."""
        wait([staged.synced])
        staged.path.unlink(missing_ok=True)

    def _check_room(self, size: int) -> None:
        """Refuse what would use up the reserve."""
        usage = shutil.disk_usage(self.root)
        reserve = self.reserve(usage.total)
        if usage.free - size < reserve:
            raise StoreFullError(need=size, free=usage.free, reserve=reserve)

    def reserve(self, total: int) -> int:
        """Return the bytes that stay free on a disk of *total* bytes."""
        return reserve_of(total, self._reserve)

    # --- places for files that are still to come ---

    def hold(self, file_id: str) -> None:
        """Remember that *file_id* was handed out."""
        (self.root / "up" / file_id).touch(mode=0o600)

    def is_held(self, file_id: str) -> bool:
        """Return whether *file_id* was handed out and its bytes are still to come."""
        return bool(ID_PATTERN.fullmatch(file_id)) and (self.root / "up" / file_id).is_file()

    def release(self, file_id: str) -> bool:
        """Forget a place; return False when it was not there any more."""
        try:
            (self.root / "up" / file_id).unlink()
        except FileNotFoundError:
            return False
        return True

    # --- reading ---

    def blob(self, file_id: str) -> Path:
        """Return where the bytes of *file_id* lie."""
        return self.root / "o" / file_id[:2] / file_id

    def _sidecar(self, file_id: str) -> Path:
        return self.root / "m" / file_id[:2] / f"{file_id}.json"

    def read_sidecar(self, file_id: str) -> StoredFile | None:
        """Return what the sidecar says, if both it and the blob are there."""
        if not ID_PATTERN.fullmatch(file_id) or not self.blob(file_id).is_file():
            return None
        try:
            return StoredFile.from_json(json.loads(self._sidecar(file_id).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file that is whole, by its sidecar."""
        for sidecar in (self.root / "m").glob("*/*.json"):
            record = self.read_sidecar(sidecar.stem)
            if record is not None:
                yield record

    # --- removing ---

    def delete(self, file_id: str) -> None:
        """Remove blob and sidecar; open readers keep what they have open."""
        self.blob(file_id).unlink(missing_ok=True)
        self._sidecar(file_id).unlink(missing_ok=True)

    def sweep(self, *, older_than: float) -> int:
        """Remove what killed saves left: rubbish in tmp/, sidecars without a blob.

        What a living process owns is left alone until it is *older_than* that moment.
        """
        removed = 0
        for path in (self.root / "tmp").iterdir():
            removed += _remove_if_old(path, older_than if _is_owned(path) else float("inf"))
        for place in (self.root / "up").iterdir():
            removed += _remove_if_old(place, older_than - _RESERVED_SECONDS)
        for sidecar in (self.root / "m").glob("*/*.json"):
            if not self.blob(sidecar.stem).exists():
                removed += _remove_if_old(sidecar, older_than)
        return removed


def _is_linked(source: Path, path: Path) -> bool:
    """Link *source* to *path*; return False where that cannot be."""
    with suppress(OSError):
        os.link(source, path)
        return True
    return False


def _staged_link(path: Path) -> Staged:
    """Return a linked file; its digest is computed while it is synced."""
    syncing = synced(path)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return Staged(path, size, hashlib.file_digest(file, "sha256").hexdigest(), syncing)


def _made(folder: Path) -> list[Path]:
    """Make *folder* if it is missing; return what has to be synced once something is in it."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return [folder]
    return [folder, folder.parent]


def _is_owned(path: Path) -> bool:
    """Return whether the process that made a file in tmp/ still runs."""
    owner = path.name.partition("-")[0]
    if not owner.isdigit():
        return True
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove_if_old(path: Path, older_than: float) -> bool:
    """Remove *path* if nobody touched it since *older_than*."""
    try:
        if path.stat().st_mtime >= older_than:
            return False
        path.unlink()
    except OSError:
        return False
    return True
