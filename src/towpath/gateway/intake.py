"""A request on its way into the queue: its body is whole, and on the disk if it is large."""

import asyncio
from dataclasses import replace
from typing import cast

from starlette.types import Receive

from towpath.concurrency import in_thread
from towpath.errors import TowpathError
from towpath.gateway.bodies import Bodies
from towpath.queue.payloads import Draft, Payloads
from towpath.queue.requests import NewRequest, QueuedRequest
from towpath.queue.store import RequestQueue
from towpath.queue.threads import in_queue_thread
from towpath.storage.spool import Spool

__all__ = ["Intake"]

_ROW = 64 * 1024  # what the database writes for a request, besides twice its body


class Intake:
    """Puts requests into the queue.

    Args:
        queue: where they go.
        bodies: receives what comes with them.
    """

    def __init__(self, queue: RequestQueue, bodies: Bodies) -> None:
        self._queue = queue
        self._bodies = bodies
        self._one_large = asyncio.Semaphore(1)

    async def submit(self, new: NewRequest, receive: Receive, length: int | None) -> QueuedRequest:
        """Receive the body of *new*, and keep the request.

        Args:
            new: without its body.
            receive: of the request.
            length: of the body, as declared.

        Raises:
            RequestError: the body cannot be had.
            StoreFullError: it would use up the disk's reserve.
            QueueError: the queue does not take the request.
        """
        payloads = self._queue.payloads
        make = self._bodies.spools.new if payloads is None else payloads.draft
        body = await self._bodies.receive(receive, length, make=make)
        try:
            if body.spool is not None:
                return await self._large(new, body.spool)
            if payloads is not None:
                payloads.room.check(2 * body.size + _ROW)
            return await self._kept(replace(new, body=body.data))
        finally:
            body.close()

    async def _large(self, new: NewRequest, spool: Spool) -> QueuedRequest:
        """Keep a request with a large body."""
        if self._queue.payloads is not None:
            return await self._filed(new, cast("Draft", spool), self._queue.payloads)
        async with self._one_large:  # it is in memory, and several times in the driver's
            return await self._kept(replace(new, body=await in_thread(_content)(spool)))

    async def _filed(self, new: NewRequest, draft: Draft, payloads: Payloads) -> QueuedRequest:
        """Keep a request whose body is in a file; the file is dropped where no row owns it.

        A caller may leave meanwhile. The thread goes on then and may write the row, so that only
        the sweep can know whether the file has an owner.
        """
        name = f"{new.request_id}.body"
        pair = await in_thread(payloads.keep)(draft, name)
        filed = replace(new, headers=(*new.headers, pair), file=payloads.path(name))
        try:
            kept = await self._kept(filed)
        except TowpathError:
            payloads.drop(name)
            raise
        if kept.request_id != new.request_id:
            payloads.drop(name)
        return kept

    async def _kept(self, new: NewRequest) -> QueuedRequest:
        return await in_queue_thread(self._queue.submit)(new)


def _content(spool: Spool) -> bytes:
    """Return all that a file has."""
    spool.file.seek(0)
    return spool.file.read()
