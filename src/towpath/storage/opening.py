"""Open the store that TOWPATH_STORE names."""

from datetime import timedelta
from functools import cache
from pathlib import Path

from towpath.clock import Clock, system_clock
from towpath.errors import StoreUnusableError
from towpath.storage.blobs import Blobs
from towpath.storage.disk import Disk
from towpath.storage.file_store import FileStore
from towpath.storage.folder import FolderObjects
from towpath.storage.local import LocalStore
from towpath.storage.memory import MemoryObjects
from towpath.storage.objects import ObjectStore
from towpath.storage.places import StorePlace
from towpath.storage.remote import RemoteBlobs
from towpath.store_address import StoreAddress
from towpath.temporaries import lasting_temporary

__all__ = ["open_objects", "open_store"]

_LONGEST_READ = timedelta(hours=12)


def open_store(place: StorePlace, clock: Clock = system_clock) -> FileStore:
    """Open a store.

    Raises:
        StoreUnusableError: its folder cannot be used, or the extra for S3 is not installed.
    """
    return FileStore(_blobs(place), clock=clock)


def open_objects(place: StorePlace) -> ObjectStore:
    """Open what keeps the bytes of a store, for itself.

    Raises:
        StoreUnusableError: as for `open_store`.
    """
    return _areas(place.address)[0] if place.address.scheme != "file" else _folder(place)


def _folder(place: StorePlace) -> FolderObjects:
    return FolderObjects(
        LocalStore(place.folder, reserve=place.reserve, disk=Disk(place.is_durable))
    )


def _blobs(place: StorePlace) -> Blobs:
    """Return what keeps the bytes."""
    if place.address.scheme == "file":
        return LocalStore(place.folder, reserve=place.reserve, disk=Disk(place.is_durable))
    root = _passing_folder() if place.address.scheme == "memory" else place.folder
    return RemoteBlobs(*_areas(place.address), root, reserve=place.reserve)


@cache
def _passing_folder() -> Path:
    """Return a folder that ends with this process: for the index of what ends with it too."""
    return lasting_temporary()


@cache
def _areas(address: StoreAddress) -> tuple[ObjectStore, ObjectStore]:
    """Return where files and their changed lives go; the same ones for all of this process."""
    if address.scheme == "memory":
        return MemoryObjects(), MemoryObjects()
    try:
        from towpath.storage.cloud import CloudObjects, open_bucket  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        reason = "An s3:// store needs the extra for it: pip install 'towpath[cloud]'."
        raise StoreUnusableError(reason) from None
    bucket, streams = open_bucket(address), open_bucket(address, longest=_LONGEST_READ)
    return CloudObjects(bucket, "o", streams=streams), CloudObjects(bucket, "m")
