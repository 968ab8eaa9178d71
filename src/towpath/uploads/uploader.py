"""The seam: something that turns a payload into a public URL."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from towpath.context import Lifetime
from towpath.errors import UploadRefusedError
from towpath.errors.redaction import shown
from towpath.media.content_types import is_header_safe

__all__ = ["Payload", "Reservation", "ReservingUploader", "Uploaded", "Uploader", "checked_type"]


def checked_type(content_type: str) -> str:
    """Return *content_type* if it may stand in a header and in a data: URI.

    Raises:
        UploadRefusedError: it may not.
    """
    if not is_header_safe(content_type):
        reason = f"{shown(content_type, 80)!r} is not a content type; give one like image/png"
        raise UploadRefusedError(reason, status=400)
    return content_type


@dataclass(frozen=True, slots=True)
class Payload:
    """What is to be uploaded.

    Its content type is checked here, for every uploader alike.

    Attributes:
        data: the bytes, a path, or an open binary file.
        content_type: kept as given.
        file_name: the name that people see.
        size: bytes, if known.
        move: whether a path may be linked instead of copied; its owner lets go of it.
    """

    data: bytes | Path | BinaryIO
    content_type: str
    file_name: str
    size: int | None = None
    move: bool = False

    def __post_init__(self) -> None:
        checked_type(self.content_type)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Where the payload is now.

    Attributes:
        url: fetchable by everybody who has it.
        size: bytes.
        expires_at: UTC, as on the wire; None = kept.
    """

    url: str
    size: int
    expires_at: str | None = None


class Uploader(Protocol):
    """Turns a payload into a public URL."""

    def upload(self, payload: Payload, *, lifetime: Lifetime | None) -> Uploaded:
        """Upload *payload*; the URL works once this returns. No lifetime = kept."""


class Reservation(Protocol):
    """A place for a file that is still to come."""

    url: str
    """What its URL will be."""

    def complete(self, payload: Payload) -> Uploaded:
        """Upload *payload* to the place.

        Raises:
            UploadRefusedError: the place was given up, or is taken.
        """

    def abort(self) -> None:
        """Give the place up."""


@runtime_checkable
class ReservingUploader(Protocol):
    """An uploader that can say a file's URL before it has the bytes."""

    def reserve(
        self, *, content_type: str, file_name: str, lifetime: Lifetime | None
    ) -> Reservation:
        """Make a place; the file's life begins when it is completed. No lifetime = kept."""
