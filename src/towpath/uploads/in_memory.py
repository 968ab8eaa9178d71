"""No store at all: the file becomes a data: URI."""

from dataclasses import dataclass
from pathlib import Path

from towpath.context import Lifetime
from towpath.errors import UploadRefusedError
from towpath.media.data_uri import write
from towpath.uploads.uploader import Payload, Uploaded

__all__ = ["InMemoryUploader"]

_LIMIT = 64 * 2**20


@dataclass(frozen=True, slots=True)
class InMemoryUploader:
    """Writes the bytes into the URL itself; they live as long as the URL."""

    limit: int = _LIMIT

    def upload(self, payload: Payload, *, lifetime: Lifetime | None) -> Uploaded:
        """Return *payload* as a data: URI.

        Raises:
            UploadRefusedError: it has more than 64 MiB.
        """
        del lifetime
        data = self._read(payload)
        if len(data) > self.limit:
            reason = f"a data: URI holds at most {self.limit} bytes; serve the file from a store"
            raise UploadRefusedError(reason, status=413)
        return Uploaded(write(data, payload.content_type), len(data))

    def _read(self, payload: Payload) -> bytes:
        """Return the bytes, at most one more than the limit."""
        if isinstance(payload.data, bytes):
            return payload.data
        if isinstance(payload.data, Path):
            with payload.data.open("rb") as file:
                return file.read(self.limit + 1)
        return payload.data.read(self.limit + 1)
