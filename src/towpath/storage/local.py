"""Blobs in a folder, each with a sidecar: the part of the store that survives everything.

    o/ab/abcdef…        the bytes; their presence is the commit point
    m/ab/abcdef….json   the sidecar: all that is needed to rebuild the index
    tmp/                everything is born here, on the same file system

A save writes and syncs the blob, and its sidecar beside it, renames the sidecar, renames the blob,
and syncs both folders side by side: a file system writes several syncs down at once. The digest is
computed while the blob goes to the disk, the index gets its row while the folders do. Killed
anywhere in between a save leaves rubbish in tmp/ or a sidecar without a blob; both are swept.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from towpath.errors import StoreFullError, StoreUnusableError
from towpath.settings import reserve_of
from towpath.storage.disk import all_of, in_background, sync, synced, write
from towpath.storage.records import ID_PATTERN, StoredFile

__all__ = ["LocalStore", "Staged"]

_BUFFER = 1024 * 1024
_FORMAT = "1\n"
_RESERVED_SECONDS = 24 * 3600.0


Describe = Callable[[int, str], StoredFile]
"""Says what is known of a file, once its size and its digest are."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A file in tmp/, durable there, with its sidecar.

    Attributes:
        path: the bytes; the sidecar lies beside them.
        record: what the sidecar says.
    """

    path: Path
    record: StoredFile

    @property
    def sidecar(self) -> Path:
        """Where the sidecar is."""
        return _beside(self.path)

    def discard(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self.sidecar.unlink(missing_ok=True)


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

    def stage(
        self, data: bytes | Path | BinaryIO, describe: Describe, *, move: bool = False
    ) -> Staged:
        """Bring *data* and its sidecar into tmp/, durably.

        Args:
            data: the bytes, where they lie, or a stream of them.
            describe: called once their size and digest are known.
            move: whether a path on the same disk may be linked.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            OSError: they could not be read or written; nothing is left.
        """
        path = self.root / "tmp" / f"{os.getpid()}-{secrets.token_hex(16)}"
        try:
            if isinstance(data, bytes):
                return self._stage_bytes(path, data, describe)
            if isinstance(data, Path):
                return self._stage_path(path, data, describe, move=move)
            return self._stage_stream(path, data, describe)
        except BaseException:
            path.unlink(missing_ok=True)
            _beside(path).unlink(missing_ok=True)
            raise

    def _stage_bytes(self, path: Path, data: bytes, describe: Describe) -> Staged:
        """Write bytes."""
        self._check_room(len(data))
        digest = partial(_digest_of, data)
        return _with_sidecar(
            path, lambda: describe(len(data), digest()), partial(write, path, data)
        )

    def _stage_path(self, path: Path, source: Path, describe: Describe, *, move: bool) -> Staged:
        """Link or copy a file."""
        if move and _is_linked(source, path):
            return _with_sidecar(path, lambda: describe(*_read(path)), partial(sync, path))
        with source.open("rb") as stream:
            self._check_room(os.fstat(stream.fileno()).st_size)
            return self._stage_stream(path, stream, describe)

    def _stage_stream(self, path: Path, stream: BinaryIO, describe: Describe) -> Staged:
        """Copy a stream."""
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as file:
            while chunk := stream.read(_BUFFER):
                self._check_room(len(chunk))
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        return _with_sidecar(path, lambda: describe(size, digest.hexdigest()), partial(sync, path))

    def publish(self, staged: Staged, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Put a staged file under its id; durable when this returns.

        Args:
            staged: the file.
            meanwhile: done once it is there, while the folders are synced.

        Raises:
            OSError: it could not be made durable.
        """
        blob, sidecar = self.blob(staged.record.id), self._sidecar(staged.record.id)
        try:
            *others, last = [*_made(sidecar.parent), *_made(blob.parent)]
            staged.sidecar.replace(sidecar)
            staged.path.replace(blob)
        except BaseException:
            staged.discard()
            raise
        jobs = [*(synced(folder) for folder in others), in_background(meanwhile)]
        try:
            sync(last)
        finally:
            all_of(jobs)

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


def _beside(path: Path) -> Path:
    """Return where the sidecar of a staged file is."""
    return path.with_suffix(".json")


def _digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> tuple[int, str]:
    """Return the size and the digest of a file."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return size, hashlib.file_digest(file, "sha256").hexdigest()


def _with_sidecar(
    path: Path, described: Callable[[], StoredFile], bring: Callable[[], None]
) -> Staged:
    """Make a file durable by *bring*; describe it, and write its sidecar, meanwhile."""

    def note() -> StoredFile:
        record = described()
        write(_beside(path), json.dumps(record.to_json()).encode())
        return record

    noting = in_background(note)
    try:
        bring()
    finally:
        wait([noting])
    return Staged(path, noting.result())


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
