"""The bytes of a file that an object store has, passed on as they come."""

from collections.abc import Callable, Iterator, Sequence

from starlette.types import Send

from towpath.cdn.multipart import Multipart
from towpath.concurrency import in_thread
from towpath.errors import StoreUnusableError

__all__ = ["RemoteBody"]

Read = Callable[[int, int], Iterator[bytes]]
"""Opens a part: first byte, and the byte after the last."""


class RemoteBody:
    """Parts of a file, a piece at a time; each waits for the client before the next is read.

    Args:
        read: opens a part.
        spans: the parts: first byte, and the byte after the last.
        frame: what is around several parts, or None.
    """

    def __init__(
        self, read: Read, spans: Sequence[tuple[int, int]], frame: Multipart | None = None
    ) -> None:
        self._read = read
        self._spans = spans
        self._frame = frame
        self._first: _Part = (iter(()), b"")

    async def open(self) -> None:
        """Ask for the first part, while another answer can still be given.

        Raises:
            StorageError: it is not there, or the store does not answer.
        """
        if self._spans:
            self._first = await in_thread(self._opened)(self._spans[0])

    async def send(self, send: Send) -> None:
        """Send it all as the body of an ASGI answer.

        Raises:
            StorageError: the store broke off.
        """
        frame = self._frame
        for number, (start, stop) in enumerate(self._spans):
            if frame is not None:
                await send(_part(frame.head((start, stop))))
            part = await in_thread(self._opened)((start, stop)) if number else self._first
            await _passed_on(part, stop - start, send)
        await send(_part(frame.end if frame is not None else b"", more=False))

    def _opened(self, span: tuple[int, int]) -> "_Part":
        """Open a part and read its first piece: a thread is asked once for what is small."""
        pieces = self._read(*span)
        return pieces, next(pieces, b"")


_Part = tuple[Iterator[bytes], bytes]
"""What is still to come, and the first piece."""


async def _passed_on(part: _Part, left: int, send: Send) -> None:
    """Send a part of *left* bytes.

    Raises:
        StorageError: the store broke off.
    """
    pieces, piece = part
    while piece:
        await send(_part(memoryview(piece)))
        left -= len(piece)
        piece = await in_thread(next)(pieces, b"") if left > 0 else b""
    if left:
        reason = "The store's answer was cut off."
        raise StoreUnusableError(reason)


def _part(body: bytes | memoryview, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}
