"""Callers' bodies, whole before anything is taken for them.

A runner's place that is taken while a body still comes belongs to whoever sends slowest: a caller
who declares a thousand bytes and sends one keeps the place until its body times out. So a body is
received first: a small one into memory, of which all bodies together have a share, a larger one
onto the disk, within its reserve. A runner gets it as fast as it reads. The files have no names
where the system can do that (O_TMPFILE): a kill leaves nothing behind.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.types import Message, Receive

from towpath.concurrency import in_thread
from towpath.errors import RequestError
from towpath.storage.spool import Spool, Spools
from towpath.web.memory import Loan, Memory

__all__ = ["Bodies", "Body", "pieces_of"]

_TINY = 16 * 1024  # counted for nobody
_SMALL = 256 * 1024
_PIECE = _SMALL


@dataclass(slots=True)
class Body:
    """A whole body; close it.

    Attributes:
        data: its bytes; none where they are in a file.
        size: how many they are.
        spool: where they are; None where they are in memory.
        release: gives back the memory.
    """

    data: bytes
    size: int
    spool: Spool | None = None
    release: Callable[[], None] | None = None

    def close(self) -> None:
        """Let go of it."""
        if self.spool is not None:
            self.spool.close()
        if self.release is not None:
            self.release()
            self.release = None

    def sendable(self) -> bytes | AsyncIterator[bytes]:
        """Return what can be sent on: the bytes, or pieces of the file."""
        return self.data if self.spool is None else pieces_of(self.spool.file)


async def pieces_of(file: BinaryIO) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, from its beginning."""
    file.seek(0)
    while piece := await in_thread(file.read)(_PIECE):
        yield piece


class Bodies:
    """Receives bodies.

    Args:
        folder: where large ones go.
        reserve: bytes that stay free on its disk, as set.

    Attributes:
        spools: makes their files.
        memory: of all bodies that are not tiny.
    """

    def __init__(self, folder: Path, reserve: int | None) -> None:
        self.spools = Spools(folder, reserve)
        self.memory = Memory()

    async def receive(
        self, receive: Receive, length: int | None, *, make: Callable[[], Spool] | None = None
    ) -> Body:
        """Return a body when all of it is here.

        Args:
            receive: of the request, within its limits of size and time.
            length: as declared; None for a body in chunks.
            make: makes the file of a large body; one without a name by default.

        Raises:
            RequestError: the body broke off, came too slowly, or is too large.
            StoreFullError: it would use up the disk's reserve.
        """
        if length is not None and length <= _TINY:
            data = await _tiny(receive)
            return Body(data, len(data))
        arriving = _Arriving(self, receive, make or self.spools.new)
        try:
            return await arriving.whole(length)
        except BaseException:
            arriving.close()
            raise


async def _tiny(receive: Receive) -> bytes:
    """Return a body of a few bytes."""
    message = await receive()
    data = _piece(message)
    while message.get("more_body", False):
        message = await receive()
        data += _piece(message)
    return data


class _Arriving:
    """A body on its way: in memory as long as it is small and there is some, then in a file.

    What is on its way to the file is gathered only in memory that is lent.
    """

    def __init__(self, bodies: Bodies, receive: Receive, make: Callable[[], Spool]) -> None:
        self._bodies = bodies
        self._receive = receive
        self._make = make
        self._batch = bytearray()
        self._spool: Spool | None = None
        self._loan = Loan(bodies.memory, _PIECE)

    async def whole(self, length: int | None) -> Body:
        """Receive all of it."""
        if length is not None and length > _SMALL:
            self._bodies.spools.room.check(length)
            await self._open()
        elif not self._loan.take():
            await self._open()
        more = True
        while more:
            message = await self._receive()
            await self._take(_piece(message))
            more = message.get("more_body", False)
        return await self._ended()

    async def _take(self, piece: bytes) -> None:
        """Gather a piece where there is memory for that, else write it."""
        if not self._loan.take():
            await self._write(piece)
            return
        self._batch += piece
        if len(self._batch) >= _PIECE:
            await self._flush()

    async def _ended(self) -> Body:
        """Return the body."""
        if self._spool is None:
            data = bytes(self._batch)
            return Body(data, len(data), release=self._loan.give_back)
        await self._flush()
        return Body(b"", self._spool.size, self._spool)

    async def _flush(self) -> None:
        """Write what was gathered; the file takes the place of the memory."""
        gathered = bytes(self._batch)
        self._batch.clear()
        await self._write(gathered)
        self._loan.give_back()

    async def _write(self, data: bytes) -> None:
        spool = self._spool or await self._open()
        if data:
            await in_thread(spool.write)(data)

    async def _open(self) -> Spool:
        self._spool = await in_thread(self._make)()
        return self._spool

    def close(self) -> None:
        """Let go of what came."""
        self._loan.give_back()
        if self._spool is not None:
            self._spool.close()


def _piece(message: Message) -> bytes:
    """Return a piece of a body.

    Raises:
        RequestError: it broke off.
    """
    if message["type"] == "http.disconnect":
        reason = "The body broke off."
        raise RequestError(reason)
    return bytes(message.get("body", b""))
