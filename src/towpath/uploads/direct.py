"""Straight into the store of this machine: no HTTP hop."""

from dataclasses import dataclass

from towpath.clock import iso
from towpath.context import Lifetime
from towpath.errors import StoreFullError, UploadRefusedError
from towpath.storage.hosting import Hosting
from towpath.storage.records import NewFile
from towpath.uploads.lifetimes import seconds_of
from towpath.uploads.uploader import Payload, Uploaded

__all__ = ["DirectUploader"]


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
            UploadRefusedError: it is too large, or the disk's reserve would be used up.
        """
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
        )
        try:
            record, url = self.hosting.save(new)
        except StoreFullError as error:
            raise UploadRefusedError(str(error), status=507) from error
        expires_at = None if record.expires is None else iso(record.expires)
        return Uploaded(url, record.size, expires_at)
