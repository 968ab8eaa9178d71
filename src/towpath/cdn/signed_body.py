"""The bytes of a file that an object store has, asked for by the store's own signed URL."""

from collections.abc import Callable, Sequence
from contextlib import closing

from starlette.types import Send

from towpath.cdn.multipart import Multipart
from towpath.errors import ObjectNotFoundError
from towpath.net.store_reader import StoreBody, StoreReader
from towpath.net.store_socket import SocketBody
from towpath.web.messages import body_part
from towpath.web.zero_copy import SPLICE

__all__ = ["SignedBody"]


class SignedBody:
    """Parts of a file, passed on as they come; each piece waits for the client.

    Args:
        reader: asks the store.
        link: makes the signed URL: each is good for some minutes.
        spans: the parts: first byte, and the byte after the last.
        frame: what is around several parts, or None.
        splices: whether the server passes sockets on by itself.
    """

    def __init__(
        self,
        reader: StoreReader,
        link: Callable[[], str],
        spans: Sequence[tuple[int, int]],
        frame: Multipart | None = None,
        *,
        splices: bool = False,
    ) -> None:
        self._reader = reader
        self._link = link
        self._spans = [span for span in spans if span[1] > span[0]]
        self._frame = frame
        self._splices = splices
        self._first: StoreBody | SocketBody | None = None

    async def open(self, file_id: str) -> None:
        """Ask for the first part, while another answer can still be given.

        Raises:
            StorageError: it is not there, or the store does not answer.
        """
        if not self._spans:
            return
        try:
            self._first = await self._reader.open(self._link(), *self._spans[0])
        except ObjectNotFoundError:
            raise ObjectNotFoundError(file_id) from None

    async def send(self, send: Send) -> None:
        """Send it all as the body of an ASGI answer.

        Raises:
            StorageError: the store broke off.
        """
        frame = self._frame
        for number, span in enumerate(self._spans):
            if frame is not None:
                await send(body_part(frame.head(span)))
            body = self._first if not number else await self._reader.open(self._link(), *span)
            if body is not None:
                await self._passed_on(body, send)
        await send(body_part(frame.end if frame is not None else b"", more=False))

    async def _passed_on(self, body: StoreBody | SocketBody, send: Send) -> None:
        """Send a part."""
        with closing(body):
            if self._splices and isinstance(body, SocketBody):
                await send({"type": SPLICE, "source": body, "more_body": True})
                return
            async for piece in body.pieces():
                await send(body_part(piece))

    def close(self) -> None:
        """Let the first part go, if it was never sent."""
        if self._first is not None:
            self._first.close()
