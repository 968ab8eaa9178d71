"""Straight into the store of this machine: no HTTP hop."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from towpath.clock import iso
from towpath.context import Lifetime
from towpath.errors import (
    ObjectNotFoundError,
    StoreFullError,
    StoreUnusableError,
    UploadRefusedError,
    UploadUnavailableError,
)
from towpath.storage.hosting import Hosting
from towpath.storage.staging import NewFile
from towpath.uploads.lifetimes import seconds_of
from towpath.uploads.uploader import Payload, Uploaded

__all__ = ["DirectReservation", "DirectUploader"]


@dataclass(frozen=True, slots=True)
class DirectUploader:
    """Saves into the store that this process shares with its server.

    Attributes:
        hosting: the store and its URLs.
        limit: bytes that one file may have.
    """

    hosting: Hosting
    limit: int | None = None

    def upload(self, payload: Payload, *, lifetime: Lifetime | None) -> Uploaded:
        """Save *payload*.

        Raises:
            UploadRefusedError: it is too large, the disk's reserve would be used up, or the disk
                is broken or read-only.
            UploadUnavailableError: the object store does not answer.
        """
        return self._save(payload, lifetime, None)

    def reserve(
        self, *, content_type: str, file_name: str, lifetime: Lifetime | None
    ) -> "DirectReservation":
        """Make a place in the store, for a day.

        Raises:
            UploadRefusedError, UploadUnavailableError: as for `upload`.
        """
        seconds_of(lifetime)  # a wrong one is refused now, not when the bytes are there
        with _told(self.hosting):
            file_id, url = self.hosting.hold(file_name, content_type)
        return DirectReservation(self, file_id, url, lifetime)

    def _save(self, payload: Payload, lifetime: Lifetime | None, file_id: str | None) -> Uploaded:
        """Save *payload*, under an id of its own or one that was reserved."""
        if self.limit is not None and (payload.size or 0) > self.limit:
            reason = f"it has {payload.size} bytes, and TOWPATH_MAX_UPLOAD_BYTES is {self.limit}"
            raise UploadRefusedError(reason, status=413)
        new = NewFile(
            data=payload.data,
            name=payload.file_name,
            content_type=payload.content_type,
            lifetime=seconds_of(lifetime),
            owner=self.hosting.owner,
            move=payload.move,
            reserved=file_id,
        )
        with _told(self.hosting):
            record, url = self.hosting.save(new)
        expires_at = None if record.expires is None else iso(record.expires)
        return Uploaded(url, record.size, expires_at)


@contextmanager
def _told(hosting: Hosting) -> Iterator[None]:
    """Say what the store answers with the errors of uploads."""
    try:
        yield
    except StoreFullError as error:
        raise UploadRefusedError(error.reason, status=507) from error
    except ObjectNotFoundError:
        reason = "its reserved place was given up or completed before; reserve another one"
        raise UploadRefusedError(reason, status=409) from None
    except StoreUnusableError as error:
        if hosting.place.address.scheme != "file":  # what cannot be opened cannot be asked
            raise UploadUnavailableError(str(error)) from error
        raise UploadRefusedError(str(error), status=507) from error


@dataclass(frozen=True, slots=True)
class DirectReservation:
    """A place in the store.

    Attributes:
        uploader: who made it.
        file_id: the id that the file will have.
        url: what its URL will be.
        lifetime: of the file, from its completion on.
    """

    uploader: DirectUploader
    file_id: str
    url: str
    lifetime: Lifetime | None

    def complete(self, payload: Payload) -> Uploaded:
        """Save *payload* under the reserved id.

        Raises:
            UploadRefusedError: the place was given up or taken, or the payload is too large.
        """
        uploaded = self.uploader._save(payload, self.lifetime, self.file_id)  # noqa: SLF001 - its own
        return replace(uploaded, url=self.url)

    def abort(self) -> None:
        """Give the place up.

        Raises:
            UploadRefusedError, UploadUnavailableError: as for `complete`.
        """
        with _told(self.uploader.hosting):
            self.uploader.hosting.store.release(self.file_id)
