"""The bytes of a file on their way out.

Where the server has ASGI's zerocopysend they go from the page cache to the socket; elsewhere they
are read, at once while they are in memory, else in a thread.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress

from starlette.types import Send

from towpath.cdn.multipart import Multipart
from towpath.concurrency import in_thread
from towpath.web.messages import body_part
from towpath.web.zero_copy import EXTENSION

__all__ = ["FileBody"]

_PIECE = 1024 * 1024
_AHEAD = 8 * _PIECE
_NOT_NOW: int | None = getattr(os, "RWF_NOWAIT", None)


class FileBody:
    """Parts of an open file, a MiB at a time; each waits for the client before the next is read.

    Args:
        descriptor: the file.
        spans: the parts: first byte, and the byte after the last.
        frame: what is around several parts, or None.
        copies: whether the server takes bytes only, and no files.
    """

    def __init__(
        self,
        descriptor: int,
        spans: Sequence[tuple[int, int]],
        frame: Multipart | None = None,
        *,
        copies: bool = True,
    ) -> None:
        self._descriptor = descriptor
        self._spans = spans
        self._frame = frame if spans else None
        self._copies = copies
        self._may_be_cached = _NOT_NOW is not None

    async def send(self, send: Send) -> None:
        """Send it all as the body of an ASGI answer.

        Raises:
            OSError: it cannot be read, or the file is shorter than it should be.
        """
        frame = self._frame
        for start, stop in self._spans:
            if frame is not None:
                await send(body_part(frame.head((start, stop))))
            if self._copies:
                await self._send_copy(send, start, stop)
            elif stop > start:
                await send(_file(self._descriptor, start, stop - start))
        await send(body_part(frame.end if frame is not None else b"", more=False))

    async def _send_copy(self, send: Send, position: int, stop: int) -> None:
        """Read and send a part."""
        while position < stop:
            piece = await self._read(position, min(_PIECE, stop - position))
            position += len(piece)
            await send(body_part(piece))

    async def _read(self, position: int, size: int) -> bytes | memoryview:
        """Read some bytes, at most *size*."""
        if self._may_be_cached:
            piece = self._cached(position, size)
            if piece is not None:
                return piece
            with suppress(OSError, AttributeError):  # a hint, where there is one
                os.posix_fadvise(self._descriptor, position, _AHEAD, os.POSIX_FADV_WILLNEED)
        read = await in_thread(os.pread)(self._descriptor, size, position)
        if not read:
            raise OSError(errno.EIO, "a stored file is shorter than its record")
        return read

    def _cached(self, position: int, size: int) -> memoryview | None:
        """Read what is in memory; None when the disk is needed (preadv2(2), RWF_NOWAIT)."""
        buffer = bytearray(size)
        try:
            count = os.preadv(self._descriptor, [buffer], position, _NOT_NOW or 0)
        except BlockingIOError:
            return None
        except OSError:  # this file system does not tell
            self._may_be_cached = False
            return None
        return memoryview(buffer)[:count] if count else None


def _file(descriptor: int, offset: int, count: int) -> dict[str, object]:
    return {
        "type": EXTENSION,
        "file": descriptor,
        "offset": offset,
        "count": count,
        "more_body": True,
    }
