"""The bytes of a file that an object store has, passed on as they come."""

from collections.abc import Callable, Iterator, Sequence

from starlette.types import Send

from towpath.cdn.multipart import Multipart
from towpath.concurrency import in_thread

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
        self._first: Iterator[bytes] = iter(())

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
        for number, span in enumerate(self._spans):
            if frame is not None:
                await send(_part(frame.head(span)))
            pieces = await in_thread(self._opened)(span) if number else self._first
            while (piece := await in_thread(next)(pieces, None)) is not None:
                await send(_part(piece))
        await send(_part(frame.end if frame is not None else b"", more=False))

    def _opened(self, span: tuple[int, int]) -> Iterator[bytes]:
        return self._read(*span)


def _part(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}
