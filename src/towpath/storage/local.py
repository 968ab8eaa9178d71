"""Blobs in a folder, each with a sidecar: the part of the store that survives everything.

    o/ab/abcdef…        the bytes; their presence is the commit point
    m/ab/abcdef….json   the sidecar: all that is needed to rebuild the index
    tmp/                everything is born here, on the same file system

A save writes and syncs the blob; a second thread computes the digest meanwhile, writes and syncs
the sidecar, renames it and syncs its folder. Once the sidecar has its name and the blob is on the
disk, the blob is renamed and its folder synced, and the index gets its row meanwhile. Killed
anywhere in between a save leaves rubbish in tmp/ or a sidecar without a blob; both are swept.
"""

import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from towpath.errors import StoreFullError, StoreUnusableError
from towpath.settings import reserve_of
from towpath.storage.background import in_background
from towpath.storage.blobs import Listed
from towpath.storage.disk import Disk
from towpath.storage.records import ID_PATTERN, StoredFile
from towpath.storage.staging import (
    Describe,
    Incoming,
    NewFile,
    Shelve,
    Staged,
    staged_bytes,
    staged_link,
    unshelved,
)

__all__ = ["LocalStore"]

_BUFFER = 1024 * 1024
_FICLONE = 0x40049409
_FORMAT = "1\n"
_RESERVED_SECONDS = 24 * 3600.0
_SHARDS = frozenset(map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)))
"""The folders of blobs and of sidecars: the first two letters of an id."""


class LocalStore:
    """A folder of blobs and sidecars.

    Args:
        root: the folder; made with mode 0700 when missing.
        reserve: bytes of free space that a save must leave; None is max(1 GiB, 5 %).
        disk: what writes.
    """

    is_local = True

    def __init__(self, root: Path, *, reserve: int | None = None, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()
        self.root = root
        self._blobs = f"{root}/o"
        self._sidecars = f"{root}/m"
        self._drafts = str(root / "tmp")
        self._reserve = reserve
        self._prepare()

    def _prepare(self) -> None:
        """Make the folders."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ("o", "m", "tmp", "up"):
                (self.root / part).mkdir(exist_ok=True, mode=0o750 if part == "o" else 0o700)
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

    def stage(self, new: NewFile, describe: Describe) -> Staged:
        """Bring a file into tmp/, durably; see `draft`.

        The sidecar of one whose id is its own goes where it stays at once.
        """
        if new.reserved is not None:
            return self.draft(new, describe)
        return self._staged(new, describe, self._shelved)

    def draft(self, new: NewFile, describe: Describe) -> Staged:
        """Bring a file and its sidecar into tmp/, durably, and nothing of it elsewhere.

        Args:
            new: the bytes, where they lie, a stream of them, or what has come in already.
            describe: called once their size and digest are known.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            OSError: it could not be read or written; nothing is left.
        """
        return self._staged(new, describe, unshelved)

    def _staged(self, new: NewFile, describe: Describe, shelve: Shelve) -> Staged:
        """Bring a file into tmp/ in the way its data asks for."""
        data = new.data
        if isinstance(data, Incoming):
            return data.staged(describe, shelve)
        if isinstance(data, bytes):
            self._check_room(len(data))
            return staged_bytes(self._disk, self._new_path(), data, describe, shelve)
        if not isinstance(data, Path):
            return self._copied(data, describe, shelve)
        path = self._new_path()
        if new.move and _is_linked(data, path):
            return staged_link(self._disk, path, describe, shelve)
        with data.open("rb") as stream:
            self._check_room(os.fstat(stream.fileno()).st_size)
            if _is_cloned(stream, path):
                return staged_link(self._disk, path, describe, shelve)
            return self._copied(stream, describe, shelve)

    def incoming(self) -> Incoming:
        """Begin a file whose bytes come one after the other."""
        return Incoming(self._new_path(), self._check_room, self._disk)

    def _copied(self, stream: BinaryIO, describe: Describe, shelve: Shelve) -> Staged:
        """Copy a stream."""
        with closing(self.incoming()) as incoming:
            while chunk := stream.read(_BUFFER):
                incoming.write(chunk)
            return incoming.staged(describe, shelve)

    def _new_path(self) -> Path:
        """Return a name in tmp/ that nobody has."""
        return Path(f"{self._drafts}/{os.getpid()}-{os.urandom(16).hex()}")

    def publish(self, staged: Staged, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Put a staged file under its id; durable when this returns.

        Args:
            staged: the file.
            meanwhile: done once it is there, while the folders are synced.

        Raises:
            OSError: it could not be made durable; nothing is left.
        """
        name = staged.record.id
        try:
            shelved = [] if staged.is_shelved else self._shelved(staged.sidecar, staged.record)[1]
            folders = shelved + _moved(staged.path, f"{self._blobs}/{name[:2]}", name)
        except BaseException:
            staged.discard()
            raise
        beside = in_background(meanwhile)
        try:
            self._disk.sync_all(folders)
            staged.rest.result()
            beside.result()
        except BaseException:
            beside.wait()
            staged.rest.wait()
            with suppress(OSError):
                self.delete([name])
            raise

    def _shelved(self, draft: Path, record: StoredFile) -> tuple[Path, list[str]]:
        """Bring a sidecar where it stays; return that, and what is to be synced."""
        folder, name = f"{self._sidecars}/{record.id[:2]}", f"{record.id}.json"
        return Path(f"{folder}/{name}"), _moved(draft, folder, name)

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
        return Path(f"{self._blobs}/{file_id[:2]}/{file_id}")

    def open(self, file_id: str) -> BinaryIO:
        """Open the bytes of *file_id*, unbuffered.

        Raises:
            FileNotFoundError: they are not there.
        """
        return open(f"{self._blobs}/{file_id[:2]}/{file_id}", "rb", buffering=0)  # noqa: PTH123 - on the way of every read

    def _sidecar(self, file_id: str) -> Path:
        return Path(f"{self._sidecars}/{file_id[:2]}/{file_id}.json")

    def pieces(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield some of the bytes of *file_id*.

        Raises:
            FileNotFoundError: at the call: they are not there.
        """
        return _pieces(self.open(file_id), start, stop)

    def sign(self, _file_id: str, _seconds: int) -> None:
        """Return None: a folder has no URLs of its own."""
        return

    def record_of(self, file_id: str) -> StoredFile | None:
        """Return what the sidecar says, if both it and the blob are there."""
        if not ID_PATTERN.fullmatch(file_id) or not self.blob(file_id).is_file():
            return None
        return self.read_listed(file_id)

    def read_listed(self, file_id: str) -> StoredFile | None:
        """Return what the sidecar of a listed file says, None if it is gone or broken."""
        try:
            with open(f"{self._sidecars}/{file_id[:2]}/{file_id}.json", "rb") as file:  # noqa: PTH123 - a rebuild reads them all
                return StoredFile.from_json(json.loads(file.read()))
        except (OSError, ValueError, TypeError):
            return None

    def records_of(self, ids: Iterable[str]) -> list[StoredFile]:
        """Return what the sidecars of listed files say; broken ones are left out."""
        found = (self.read_listed(file_id) for file_id in ids)
        return [record for record in found if record is not None]

    def missing(self, ids: list[str]) -> list[str]:
        """Return those of *ids* whose bytes are not there."""
        return [file_id for file_id in ids if not self.blob(file_id).is_file()]

    def listed(self) -> Iterator[Listed]:
        """Yield what lies in the store, a folder after the other."""
        for folder in sorted((self.root / "m").iterdir()):
            blobs = set(_names_in(self.root / "o" / folder.name))
            sidecars = [name.removesuffix(".json") for name in _names_in(folder)]
            yield Listed(
                [file_id for file_id in sidecars if file_id in blobs],
                [file_id for file_id in sidecars if file_id not in blobs],
            )

    def rewrite(self, record: StoredFile) -> None:
        """Replace the sidecar of a file; durable when this returns."""
        sidecar, draft = self._sidecar(record.id), self._new_path().with_suffix(".json")
        try:
            self._disk.write(draft, json.dumps(record.to_json()).encode())
            draft.replace(sidecar)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        self._disk.sync(sidecar.parent)

    # --- removing ---

    def delete(self, ids: Iterable[str]) -> None:
        """Remove blobs and sidecars; open readers keep what they have open."""
        for file_id in ids:
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
        for listed in self.listed():
            for file_id in listed.halves:
                removed += _remove_if_old(self._sidecar(file_id), older_than)
        return removed

    def lay_out(self) -> None:
        """Make every folder that a file may lie in: a save that makes its own has more to sync.

        It only saves time: a disk that is full or read-only is no error here.
        """
        if not self._disk.is_durable:
            return
        with suppress(OSError):
            for part in (self.root / "o", self.root / "m"):
                missing = _SHARDS.difference(_names_in(part))
                for name in missing:
                    (part / name).mkdir(mode=0o750, exist_ok=True)
                if missing:
                    self._disk.sync(part)


def _pieces(stream: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """Yield a part of an open file, and close it."""
    with stream:
        stream.seek(start)
        while start < stop and (piece := stream.read(min(_BUFFER, stop - start))):
            start += len(piece)
            yield piece


def _names_in(folder: Path) -> list[str]:
    """Return the names in a folder; none if it is not there."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_linked(source: Path, path: Path) -> bool:
    """Link *source*, or what it points to, to *path*; return False where that cannot be."""
    with suppress(OSError):
        real = source.resolve(strict=True)
        if real.is_file():
            os.link(real, path)
            return True
    return False


def _is_cloned(source: BinaryIO, path: Path) -> bool:
    """Let *path* share the blocks of *source* where the disk can (FICLONE, ioctl_ficlone(2))."""
    try:
        with path.open("xb") as clone:
            fcntl.ioctl(clone.fileno(), _FICLONE, source.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        return False
    return True


def _moved(path: Path, folder: str, name: str) -> list[str]:
    """Move a file into a folder, which may have to be made; return what is to be synced."""
    try:
        os.replace(path, f"{folder}/{name}")  # noqa: PTH105 - on the way of every save
    except FileNotFoundError:
        above = Path(folder)
        above.mkdir(mode=0o750, exist_ok=True)  # the store itself is closed; a list may open this
        path.replace(above / name)
        return [str(above.parent), folder]
    return [folder]


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
