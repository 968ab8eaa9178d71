"""Try one uploader, then the next."""

from collections.abc import Sequence

from towpath.context import Lifetime
from towpath.errors import UploadError, UploadUnavailableError
from towpath.uploads.uploader import Payload, Uploaded, Uploader

__all__ = ["FallbackUploader"]


class FallbackUploader:
    """An uploader made of others: the first that succeeds gives the URL.

    When all fail, the error holds every reason.
    """

    def __init__(self, first: Uploader, *others: Uploader) -> None:
        self._uploaders: Sequence[Uploader] = (first, *others)

    def upload(self, payload: Payload, *, lifetime: Lifetime | None) -> Uploaded:
        """Upload *payload* through the first that takes it."""
        reasons: list[str] = []
        for uploader in self._uploaders:
            try:
                return uploader.upload(payload, lifetime=lifetime)
            except UploadError as error:
                if len(self._uploaders) == 1:
                    raise
                reasons.append(f"{type(uploader).__name__}: {error}")
        raise UploadUnavailableError("No uploader took the file. " + " ".join(reasons))
