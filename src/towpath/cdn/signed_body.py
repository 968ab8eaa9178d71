"""The bytes of a file that an object store has, asked for by the store's own signed URL."""

from collections.abc import Callable, Sequence
from contextlib import closing

from starlette.types import Send

from towpath.cdn.multipart import Multipart
from towpath.errors import ObjectNotFoundError
from towpath.net.store_reader import StoreBody, StoreReader

__all__ = ["SignedBody"]


class SignedBody:
    """Parts of a file, passed on as they come; each piece waits for the client.

    Args:
        reader: asks the store.
        link: makes the signed URL: each is good for some minutes.
        spans: the parts: first byte, and the byte after the last.
        frame: what is around several parts, or None.
    """

    def __init__(
        self,
        reader: StoreReader,
        link: Callable[[], str],
        spans: Sequence[tuple[int, int]],
        frame: Multipart | None = None,
    ) -> None:
        self._reader = reader
        self._link = link
        self._spans = [span for span in spans if span[1] > span[0]]
        self._frame = frame
        self._first: StoreBody | None = None

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
                await send(_part(frame.head(span)))
            body = self._first if not number else await self._reader.open(self._link(), *span)
            if body is not None:
                await _passed_on(body, send)
        await send(_part(frame.end if frame is not None else b"", more=False))

    def close(self) -> None:
        """Let the first part go, if it was never sent."""
        if self._first is not None:
            self._first.close()


async def _passed_on(body: StoreBody, send: Send) -> None:
    """Send a part."""
    with closing(body):
        async for piece in body.pieces():
            await send(_part(piece))


def _part(body: bytes, *, more: bool = True) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}
