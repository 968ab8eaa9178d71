"""The body of an answer to several ranges: multipart/byteranges (RFC 9110, 14.6). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Multipart"]


@dataclass(frozen=True, slots=True)
class Multipart:
    """The frame around several parts of one file.

    Attributes:
        boundary: what separates the parts; must not occur in the file.
        content_type: the file's.
        spans: first byte, and the byte after the last, of each part.
        size: bytes of the whole file.
    """

    boundary: str
    content_type: str
    spans: Sequence[tuple[int, int]]
    size: int

    @property
    def type(self) -> str:
        """The content type of the answer."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """The bytes of the whole body."""
        parts = sum(len(self.head(span)) + span[1] - span[0] for span in self.spans)
        return parts + len(self.end)

    def head(self, span: tuple[int, int]) -> bytes:
        """Return what comes before a part."""
        return (
            f"\r\n--{self.boundary}\r\ncontent-type: {self.content_type}\r\n"
            f"content-range: bytes {span[0]}-{span[1] - 1}/{self.size}\r\n\r\n"
        ).encode("latin-1")

    @property
    def end(self) -> bytes:
        """What comes after the last part."""
        return f"\r\n--{self.boundary}--\r\n".encode()
