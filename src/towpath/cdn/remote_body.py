"""The bytes of a file that an object store has, passed on as they come."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from starlette.types import Send

from towpath.cdn.multipart import Multipart
from towpath.errors import StoreUnusableError
from towpath.web.messages import body_part

__all__ = ["RemoteBody"]

T = TypeVar("T")
_MOST_READERS = 64

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
            self._first = await _read(self._opened, self._spans[0])

    async def send(self, send: Send) -> None:
        """Send it all as the body of an ASGI answer.

        Raises:
            StorageError: the store broke off.
        """
        frame = self._frame
        for number, (start, stop) in enumerate(self._spans):
            if frame is not None:
                await send(body_part(frame.head((start, stop))))
            part = await _read(self._opened, (start, stop)) if number else self._first
            await _passed_on(part, stop - start, send)
        await send(body_part(frame.end if frame is not None else b"", more=False))

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
        await send(body_part(memoryview(piece)))
        left -= len(piece)
        piece = await _read(next, pieces, b"") if left > 0 else b""
    if left:
        reason = "The store's answer was cut off."
        raise StoreUnusableError(reason)


async def _read(function: Callable[..., T], *arguments: object) -> T:
    """Call a function that waits for the store, in a thread of those that do."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_readers(), function, *arguments)


@cache
def _readers() -> ThreadPoolExecutor:
    """Return threads of their own: a store that hangs holds up nothing else."""
    return ThreadPoolExecutor(_MOST_READERS, "towpath-store")
