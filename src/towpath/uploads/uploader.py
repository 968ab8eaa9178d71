"""The seam: something that turns a payload into a public URL."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from towpath.context import Lifetime

__all__ = ["Payload", "Uploaded", "Uploader"]


@dataclass(frozen=True, slots=True)
class Payload:
    """What is to be uploaded.

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
