"""Which store this process saves to, and under which URLs its files are public."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from towpath.clock import iso
from towpath.errors import StorageError
from towpath.media.content_types import extension_of
from towpath.media.names import clean_name, url_name
from towpath.settings import Settings, active
from towpath.storage.entries import is_shared
from towpath.storage.places import StorePlace, place_of
from towpath.storage.records import ID_PATTERN, StoredFile
from towpath.storage.staging import NewFile

if TYPE_CHECKING:
    from towpath.storage.file_store import FileStore

__all__ = ["Hosting", "current_hosting", "hosting_of", "using_hosting"]

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PATH = "/files/"
_opening = threading.RLock()
"""Threads that save their first files at once share one store."""


@dataclass(frozen=True)
class Hosting:
    """A store and the prefixes of its public URLs.

    Attributes:
        place: where the store is.
        url: the prefix that new URLs get.
        aliases: other prefixes under which the same files are reached.
        owner: whose files this process saves.
    """

    place: StorePlace
    url: str
    aliases: tuple[str, ...] = ()
    owner: str = ""

    @cached_property
    def store(self) -> "FileStore":
        """Open the store at the first use: the database layer takes a while to load."""
        from towpath.storage.opening import open_store  # noqa: PLC0415 - see above

        with _opening:
            store: FileStore = vars(self).get("store") or open_store(self.place)
            vars(self)["store"] = store
            return store

    def save(self, new: NewFile) -> tuple[StoredFile, str]:
        """Save a file; return what is known of it and its public URL."""
        record = self.store.save(new)
        return record, self.url_of(record)

    def hold(self, name: str, content_type: str) -> tuple[str, str]:
        """Make a place for a file that is still to come; return its id and its public URL."""
        file_id = self.store.hold()
        return file_id, f"{self.url}{_PATH}{file_id}/{url_name(name, content_type)}"

    def url_of(self, record: StoredFile) -> str:
        """Return the public URL of a file."""
        return f"{self.url}{_PATH}{record.id}/{url_name(record.name, record.content_type)}"

    def to_json(self, record: StoredFile) -> dict[str, str | int | None]:
        """Return what operators see of a file."""
        return {
            "id": record.id,
            "url": self.url_of(record),
            "content_type": record.content_type,
            "file_name": record.name,
            "file_size": record.size,
            "owner": record.owner,
            "created_at": iso(record.created),
            "expires_at": None if record.expires is None else iso(record.expires),
        }

    def id_in(self, url: str) -> str | None:
        """Return the id in one of our own file URLs, or None for anybody else's."""
        bare = url.partition("#")[0].partition("?")[0]
        for prefix in (self.url, *self.aliases):
            if bare.startswith(prefix + _PATH):
                file_id = bare[len(prefix + _PATH) :].partition("/")[0]
                return file_id if ID_PATTERN.fullmatch(file_id) else None
        return None

    def open(self, file_id: str) -> tuple[StoredFile, BinaryIO]:
        """Open one of our own files, after the same checks as over HTTP."""
        record = self.store.find(file_id)
        return record, self.store.open(record)

    def share(self, file_id: str, folder: Path, *, least: int) -> Path | None:
        """Let one of our own files appear in *folder* without copying its bytes.

        Args:
            file_id: the file.
            folder: an empty one; the file gets the name that people see.
            least: bytes below which a copy is as good: it may be written to.

        Returns:
            The path, which is only for reading; None where the bytes have to be copied.
        """
        try:
            record, stream = self.open(file_id)
        except StorageError:
            return None
        name = clean_name(record.name) or f"{file_id}.{extension_of(record.content_type)}"
        with stream:
            is_there = record.size >= least and is_shared(stream, folder / name)
        return folder / name if is_there else None


def hosting_of(settings: Settings, *, owner: str = "") -> Hosting:
    """Return the hosting that *settings* describe."""
    prefixes = dict.fromkeys((settings.files_origin, settings.origin))
    for prefix in tuple(prefixes):
        parts = urlsplit(prefix)
        if settings.is_loopback and parts.hostname in {"127.0.0.1", "localhost", "::1"}:
            port = f":{parts.port}" if parts.port else ""
            prefixes |= dict.fromkeys(
                f"{parts.scheme}://{name}{port}{parts.path}" for name in _LOOPBACK
            )
    url, *aliases = prefixes
    return Hosting(place_of(settings), url, tuple(aliases), owner)


class _Process:
    """The hosting of this process, if it has one."""

    hosting: Hosting | None = None


def current_hosting() -> Hosting | None:
    """Return this process's hosting: what a server or runner set, else what the settings name."""
    if _Process.hosting is not None:  # no wait for a thread that opens its store
        return _Process.hosting
    with _opening:
        if _Process.hosting is None:
            settings = active()
            if settings.store and settings.public_url:
                _Process.hosting = hosting_of(settings)
        return _Process.hosting


@contextmanager
def using_hosting(hosting: Hosting) -> Iterator[Hosting]:
    """Save this process's files in *hosting*."""
    before = _Process.hosting
    _Process.hosting = hosting
    try:
        yield hosting
    finally:
        _Process.hosting = before
