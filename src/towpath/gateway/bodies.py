"""Callers' bodies, whole before anything is taken for them.

A runner's place that is taken while a body still comes belongs to whoever sends slowest: a caller
who declares a thousand bytes and sends one keeps the place until its body times out. So a body is
received first: into memory, of which all bodies together have a share, and onto the disk, within
its reserve, when the share is used up. Large ones leave a quarter of it to small ones. A runner
gets a body as fast as it reads. The files have no names where the system can do that (O_TMPFILE):
a kill leaves nothing behind.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
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
_SPARE = 4 * 2**20  # bytes of the share that large bodies leave to small ones


@dataclass(slots=True)
class Body:
    """A whole body; close it.

    Attributes:
        pieces: its bytes; none where they are in a file.
        size: how many they are.
        spool: where they are; None where they are in memory.
        release: gives back the memory.
    """

    pieces: Sequence[bytes | bytearray]
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

    @property
    def data(self) -> bytes:
        """Return the bytes of a body in memory."""
        return b"".join(self.pieces)

    def sendable(self) -> bytes | AsyncIterator[bytes]:
        """Return what can be sent on: the bytes of a small body, or pieces of a large one."""
        if self.spool is not None:
            return pieces_of(self.spool.file)
        return self.data if self.size <= _SMALL else _each(self.pieces)


async def _each(pieces: Iterable[bytes | bytearray]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield bytes(piece)


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
            make: makes the file that a body over 256 KiB is to be in; by default such a body is in
                memory while there is some, then in a file without a name.

        Raises:
            RequestError: the body broke off, came too slowly, or is too large.
            StoreFullError: it would use up the disk's reserve.
        """
        if length is not None and length <= _TINY:
            data = await _tiny(receive)
            return Body((data,), len(data))
        arriving = _Arriving(self, receive, make)
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
    """A body on its way: in memory as long as there is some, then in a file.

    What is on its way to the file is gathered only in memory that is lent.
    """

    def __init__(self, bodies: Bodies, receive: Receive, make: Callable[[], Spool] | None) -> None:
        self._bodies = bodies
        self._receive = receive
        self._make = make or bodies.spools.new
        self._is_for_file = make is not None
        # Tiny pieces are put together: in a list, single bytes would take forty times as much.
        self._gathered: list[bytes | bytearray] = []
        self._size = 0  # of what is gathered
        self._spool: Spool | None = None
        self._loan = Loan(bodies.memory, _PIECE, spare=_SPARE)

    async def whole(self, length: int | None) -> Body:
        """Receive all of it."""
        if length is not None and not self._fits(length):
            self._bodies.spools.room.check(length)
            await self._open()
        more = True
        while more:
            message = await self._receive()
            await self._take(_piece(message))
            more = message.get("more_body", False)
        if self._spool is None:
            return Body(self._gathered, self._size, release=self._loan.give_back)
        await self._flush()
        return Body((), self._spool.size, self._spool)

    def _fits(self, length: int) -> bool:
        """Return whether a body of that length can be in memory, as it looks now."""
        if length <= _SMALL:
            return True
        return not self._is_for_file and self._bodies.memory.has(length, spare=_SPARE)

    async def _take(self, piece: bytes) -> None:
        """Gather a piece; write what is gathered where there is no memory for more."""
        self._gather(piece)
        if self._spool is None and not self._is_for_file:
            is_enough = not self._loan.cover(self._size)
        else:
            is_enough = not self._loan.take() or self._size > _PIECE
        if is_enough:
            await self._flush()

    def _gather(self, piece: bytes) -> None:
        self._size += len(piece)
        if len(piece) >= _TINY:
            self._gathered.append(piece)
            return
        last = self._gathered[-1] if self._gathered else b""
        if not isinstance(last, bytearray) or len(last) >= _PIECE:
            self._gathered.append(last := bytearray())
        last += piece

    async def _flush(self) -> None:
        """Write what was gathered; the file takes the place of the memory."""
        gathered, self._gathered, self._size = self._gathered, [], 0
        spool = self._spool or await self._open()
        await in_thread(_write)(spool, gathered)
        self._loan.give_back()

    async def _open(self) -> Spool:
        self._spool = await in_thread(self._make)()
        return self._spool

    def close(self) -> None:
        """Let go of what came."""
        self._loan.give_back()
        if self._spool is not None:
            self._spool.close()


def _write(spool: Spool, blocks: Iterable[bytes | bytearray]) -> None:
    """Write blocks in one visit of a thread; joining them would take their memory again."""
    for block in blocks:
        spool.write(block)


def _piece(message: Message) -> bytes:
    """Return a piece of a body.

    Raises:
        RequestError: it broke off.
    """
    if message["type"] == "http.disconnect":
        reason = "The body broke off."
        raise RequestError(reason)
    return bytes(message.get("body", b""))
