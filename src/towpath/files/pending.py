"""A file whose URL is known before its bytes."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Generic, TypeVar

from towpath.concurrency import in_thread
from towpath.uploads.uploader import Payload, Reservation, Uploaded

__all__ = ["PendingFile"]

F = TypeVar("F")


class PendingFile(Generic[F]):
    """A URL that was handed out and whose bytes are still to come.

    Until then the URL answers 404 with `Retry-After`. A place that is neither completed nor
    given up within a day is given up.

    Attributes:
        url: the URL that the file will have.
    """

    def __init__(
        self,
        reservation: Reservation,
        describe: Callable[[bytes | Path], Payload],
        built: Callable[[Payload, Uploaded], F],
    ) -> None:
        self.url = reservation.url
        self._reservation = reservation
        self._describe = describe
        self._built = built

    def complete(self, data: bytes | str | PathLike[str]) -> F:
        """Upload the bytes, or the file at a path; return the file, whose URL works now.

        Raises:
            UploadRefusedError: the place was given up or completed before.
            UploadError: it could not be stored.
        """
        payload = self._describe(data if isinstance(data, bytes) else Path(data))
        uploaded = self._reservation.complete(payload)
        return self._built(payload, uploaded)

    def abort(self) -> None:
        """Give the place up; the URL stays 404. Doing it twice is no error."""
        self._reservation.abort()

    async def complete_async(self, data: bytes | str | PathLike[str]) -> F:
        """Do what `complete` does, off the event loop."""
        return await in_thread(self.complete)(data)

    async def abort_async(self) -> None:
        """Do what `abort` does, off the event loop."""
        await in_thread(self.abort)()
