"""Is a downloaded weight file what its name says? A login page under its name is not."""

import os

from towpath.downloads.reuse import Head
from towpath.errors import BadResponseError

__all__ = ["check_contents"]

_PAGES = (".html", ".htm", ".xhtml")
_ZIPS = (".zip", ".npz", ".keras")
_HEADER = 8


def check_contents(head: Head, name: str, descriptor: int) -> None:
    """Look at the type that the server states and at the first bytes.

    Raises:
        BadResponseError: it is a web page, or not of the format that its name says.
    """
    lower = name.lower()
    kind = (head.content_type or "").partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"} and not lower.endswith(_PAGES):
        reason = "the server sent a web page, which is perhaps a sign-in or an error"
        raise BadResponseError(head.url, f"{reason}. Open the link in a private window.")
    start = os.pread(descriptor, _HEADER + 1, 0)
    size = os.fstat(descriptor).st_size
    if not _looks_right(lower, start, size):
        suffix = lower.rpartition(".")[2]
        reason = f"its content does not begin as a .{suffix} file does"
        raise BadResponseError(head.url, f"{reason}. Check that the link leads to the file itself.")


def _looks_right(name: str, start: bytes, size: int) -> bool:
    """Compare the first bytes with what the suffix promises."""
    if name.endswith(".safetensors"):
        length = int.from_bytes(start[:_HEADER], "little")
        return len(start) > _HEADER and start[_HEADER] == ord("{") and length <= size - _HEADER
    if name.endswith(".gguf"):
        return start.startswith(b"GGUF")
    if name.endswith(_ZIPS):
        return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))
    return True
