"""Blobs in a folder, each with a sidecar: the part of the store that survives everything.

    o/ab/abcdef…        the bytes; their presence is the commit point
    m/ab/abcdef….json   the sidecar: all that is needed to rebuild the index
    tmp/                everything is born here, on the same file system

A save writes the blob, labels it with what the sidecar says, syncs both at once, renames the blob
and syncs its folder, while the index gets its row. A second thread computes the digest and writes
the sidecar meanwhile; if a power cut comes before the disk has that, it is made again from the
label. Where there are no labels the sidecar is made durable before the blob is renamed. Killed
anywhere in between a save leaves rubbish in tmp/ or a sidecar without a blob, which are swept, or a
blob without a sidecar, which is a file.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from towpath.context import places
from towpath.errors import StoreUnusableError
from towpath.storage.background import in_background
from towpath.storage.blobs import Listed
from towpath.storage.disk import Disk
from towpath.storage.entries import is_cloned, is_linked, is_owned, moved, names_in, remove_if_old
from towpath.storage.labels import can_label, read_label, relabel
from towpath.storage.records import ID_PATTERN, StoredFile
from towpath.storage.room import Room
from towpath.storage.sidecars import read_sidecar, sidecar_of
from towpath.storage.staging import (
    Describe,
    Incoming,
    NewFile,
    Shelf,
    Staged,
    digest_of,
    staged_bytes,
    staged_link,
)

__all__ = ["LocalStore"]

_BUFFER = 1024 * 1024
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
        self._room = Room(root, reserve)
        self._prepare()
        self._has_labels = can_label(root / "tmp")

    def _prepare(self) -> None:
        """Make the folders."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for part in ("o", "m", "tmp", "up"):
                (self.root / part).mkdir(exist_ok=True, mode=0o750 if part == "o" else 0o700)
            version = self._version()
        except OSError as error:
            reason = (
                f"The store's folder {self.root} cannot be used: {error.strerror}. Make it "
                "a folder that can be written to, or name another in TOWPATH_STORE."
            )
            raise StoreUnusableError(reason) from None
        if version != _FORMAT:
            reason = (
                f"The store in {self.root} was made by another version of towpath: its format is "
                f"{version.strip()[:20]!r}, this version's is {_FORMAT.strip()!r}. Serve it with "
                "that version, or name another folder in TOWPATH_STORE."
            )
            raise StoreUnusableError(reason)

    def _version(self) -> str:
        """Return the store's format; a new one, or one whose making broke off, gets ours.

        It appears whole, for others may open the store at this moment.
        """
        path = self.root / "format"
        with suppress(FileNotFoundError):
            if said := path.read_text(errors="replace"):
                return said
        draft = self._new_path()
        self._disk.write(draft, _FORMAT.encode())
        draft.replace(path)
        self._disk.sync(self.root)
        return _FORMAT

    # --- saving ---

    def stage(self, new: NewFile, describe: Describe) -> Staged:
        """Bring a file into tmp/, durably.

        Args:
            new: the bytes, where they lie, a stream of them, or what has come in already.
            describe: says what is known of it.

        Raises:
            StoreFullError: the disk's reserve would be used up.
            OSError: it could not be read or written; nothing is left.
        """
        is_own = self._has_labels and new.reserved is None
        return self._staged(new, describe, self._sidecar if is_own else None)

    def draft(self, new: NewFile, describe: Describe) -> Staged:
        """Do what `stage` does for a file whose id another one may have, or get."""
        return self._staged(new, describe, None)

    def _staged(self, new: NewFile, describe: Describe, shelf: Shelf | None) -> Staged:
        """Bring a file into tmp/ in the way its data asks for."""
        data = new.data
        if isinstance(data, Incoming):
            return data.staged(describe, shelf)
        if isinstance(data, bytes):
            self._room.check(len(data))
            return staged_bytes(self._disk, self._new_path(), data, describe, shelf)
        if not isinstance(data, Path):
            return self._copied(data, describe, shelf)
        path = self._new_path()
        if new.move and is_linked(data, path):
            return staged_link(self._disk, path, describe)
        with places().true_path(data.absolute()).open("rb") as stream:
            self._room.check(os.fstat(stream.fileno()).st_size)
            if is_cloned(stream, path):
                return staged_link(self._disk, path, describe)
            return self._copied(stream, describe, shelf)

    def incoming(self) -> Incoming:
        """Begin a file whose bytes come one after the other."""
        return Incoming(self._new_path(), self._room.check, self._disk)

    def _copied(self, stream: BinaryIO, describe: Describe, shelf: Shelf | None) -> Staged:
        """Copy a stream."""
        with closing(self.incoming()) as incoming:
            while chunk := stream.read(_BUFFER):
                incoming.write(chunk)
            return incoming.staged(describe, shelf)

    def _new_path(self) -> Path:
        """Return a name in tmp/ that nobody has."""
        return Path(f"{self._drafts}/{os.getpid()}-{os.urandom(16).hex()}")

    def publish(self, staged: Staged, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Put a staged file under its id; durable when this returns.

        Args:
            staged: the file.
            meanwhile: done once it is there, while its folder is synced.

        Raises:
            OSError: it could not be made durable; nothing is left.
        """
        try:
            if not staged.is_labelled:
                self.rewrite(staged.record())
            folders = moved(staged.path, f"{self._blobs}/{staged.id[:2]}", staged.id)
        except BaseException:
            self._withdraw(staged)
            raise
        beside = in_background(meanwhile)
        try:
            self._disk.sync_all(folders)
            staged.record()
            beside.result()
        except BaseException:
            beside.wait()
            staged.described.wait()
            with suppress(OSError):
                self.delete([staged.id])
            raise

    def _withdraw(self, staged: Staged) -> None:
        """Remove a staged file; what has its id already stays as it is."""
        staged.discard()
        with suppress(OSError):
            if not self.blob(staged.id).exists():
                self._sidecar(staged.id).unlink(missing_ok=True)

    def reserve(self, total: int) -> int:
        """Return the bytes that stay free on a disk of *total* bytes."""
        return self._room.reserve(total)

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
        """Return what is known of a listed file, None if it is gone, or nothing can be read.

        A sidecar that is not there, or broken, is made again from the label.
        """
        record = read_sidecar(f"{self._sidecars}/{file_id[:2]}/{file_id}.json")
        if record is None or record.id != file_id:
            return self._restored(file_id)
        return record

    def _restored(self, file_id: str) -> StoredFile | None:
        """Return what a file's label says, None if it has none; write the sidecar again."""
        record = read_label(self.blob(file_id))
        if record is None or record.id != file_id:
            return None
        try:
            record = replace(record, sha256=record.sha256 or digest_of(self.blob(file_id)))
        except OSError:
            return None
        with suppress(OSError):  # a disk that takes nothing can be read all the same
            self.rewrite(record)
        return record

    def records_of(self, ids: Iterable[str]) -> list[StoredFile]:
        """Return what the sidecars of listed files say; broken ones are left out."""
        found = (self.read_listed(file_id) for file_id in ids)
        return [record for record in found if record is not None]

    def missing(self, ids: list[str]) -> list[str]:
        """Return those of *ids* whose bytes are not there."""
        return [file_id for file_id in ids if not self.blob(file_id).is_file()]

    def listed(self) -> Iterator[Listed]:
        """Yield what lies in the store, a folder after the other."""
        for folder in sorted({*names_in(self.root / "o"), *names_in(self.root / "m")}):
            blobs = set(names_in(self.root / "o" / folder))
            named = {name.removesuffix(".json") for name in names_in(self.root / "m" / folder)}
            yield Listed(sorted(blobs), sorted(named - blobs), sorted(blobs - named))

    def rewrite(self, record: StoredFile) -> None:
        """Write the sidecar of a file, in place of the one it has; durable when this returns."""
        draft = self._new_path().with_suffix(".json")
        try:
            self._disk.write(draft, sidecar_of(record))
            folders = moved(draft, f"{self._sidecars}/{record.id[:2]}", f"{record.id}.json")
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        self._disk.sync_all(folders)
        relabel(self.blob(record.id), record)

    # --- removing ---

    def delete(self, ids: Iterable[str]) -> None:
        """Remove blobs and sidecars; open readers keep what they have open."""
        for file_id in ids:
            self.blob(file_id).unlink(missing_ok=True)
            self._sidecar(file_id).unlink(missing_ok=True)

    def sweep(self, *, older_than: float) -> int:
        """Remove what killed saves left: rubbish in tmp/, sidecars without a blob.

        What a living process owns is left alone until it is *older_than* that moment. Sidecars
        that a power cut took are made again.
        """
        removed = 0
        for path in (self.root / "tmp").iterdir():
            removed += remove_if_old(path, older_than if is_owned(path) else float("inf"))
        for place in (self.root / "up").iterdir():
            removed += remove_if_old(place, older_than - _RESERVED_SECONDS)
        for listed in self.listed():
            self.records_of(listed.bare)  # which restores their sidecars
            for file_id in listed.halves:
                removed += remove_if_old(self._sidecar(file_id), older_than)
        return removed

    def lay_out(self) -> None:
        """Make every folder that a file may lie in: a save that makes its own has more to sync.

        It only saves time: a disk that is full or read-only is no error here.
        """
        if not self._disk.is_durable:
            return
        with suppress(OSError):
            for part in (self.root / "o", self.root / "m"):
                missing = _SHARDS.difference(names_in(part))
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
