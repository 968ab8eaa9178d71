"""What is on its way to the disk shares its memory, however many send and stop in the middle."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from towpath.cdn.uploads import UploadEndpoint
from towpath.gateway.bodies import Bodies
from towpath.storage.hosting import Hosting
from towpath.web.memory import Loan, Memory

MANY = 250
PIECE = 60_000
MOST = 32 * 2**20
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
TEXT = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
KIND = b"multipart/form-data; boundary=b"


def test_memory_is_lent_to_the_byte() -> None:
    memory = Memory(100)
    first, second = Loan(memory, 60), Loan(memory, 40)
    assert first.take()
    assert first.take()  # it is had already
    assert second.take()
    assert not Loan(memory, 1).take()
    first.close()
    first.close()
    assert not Loan(memory, 61).take()
    assert Loan(memory, 60).take()


class Sender:
    """Sends some pieces and then nothing more."""

    def __init__(self, first: bytes, pieces: int) -> None:
        self.first = first
        self.left = pieces
        self.has_stalled = asyncio.Event()

    async def receive(self) -> Message:
        if not self.left:
            self.has_stalled.set()
            await asyncio.Event().wait()
        self.left -= 1
        first, self.first = self.first, b""
        return {"type": "http.request", "body": first + bytes(PIECE), "more_body": True}


def held(work: Callable[[Sender], Awaitable[object]], first: bytes, pieces: int) -> int:
    """Return the bytes that are held for many who have stopped in the middle."""

    async def measured() -> int:
        senders = [Sender(first, pieces) for _ in range(MANY)]
        tracemalloc.start()
        tasks = [asyncio.ensure_future(work(sender)) for sender in senders]
        stalled = asyncio.gather(*(sender.has_stalled.wait() for sender in senders))
        await asyncio.wait([stalled, *tasks], return_when=asyncio.FIRST_COMPLETED)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(stalled, *tasks, return_exceptions=True)
        return size

    return asyncio.run(measured())


@pytest.mark.parametrize("length", [None, 200_000, 1_000_000])
def test_half_bodies_of_calls_share_their_memory(tmp_path: Path, length: int | None) -> None:
    """trust T9: small, large and of unknown length."""
    bodies = Bodies(tmp_path, 0)
    assert held(lambda sender: bodies.receive(sender.receive, length), b"", 3) < MOST
    assert Loan(bodies.memory, 16 * 2**20).take()


@pytest.mark.parametrize(
    ("kind", "first", "pieces"),
    [(b"image/png", b"", 5), (KIND, FORM, 4)],
    ids=["body", "file of a form"],
)
def test_half_uploads_share_their_memory(
    hosting: Hosting, kind: bytes, first: bytes, pieces: int
) -> None:
    """trust T10: one client may have hundreds of connections."""
    endpoint = UploadEndpoint(hosting.store, hosting, lifetime=None)
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind)]}

    def upload(sender: Sender) -> Awaitable[object]:
        return endpoint(Request(scope, sender.receive))

    assert held(upload, first, pieces) < MOST


def test_the_text_of_an_upload_has_64_kib_and_no_more(hosting: Hosting) -> None:
    endpoint = UploadEndpoint(hosting.store, hosting, lifetime=None)
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", KIND)]}

    async def answered(size: int) -> object:
        sender = Sender(TEXT + b"x" * (size - PIECE), 1)
        task = asyncio.ensure_future(endpoint(Request(scope, sender.receive)))
        stalled = asyncio.ensure_future(sender.has_stalled.wait())
        await asyncio.wait([task, stalled], return_when=asyncio.FIRST_COMPLETED)
        stalled.cancel()
        if not task.done():
            task.cancel()
            return None
        return task.exception()

    assert asyncio.run(answered(64 * 1024)) is None
    assert "65536 bytes" in str(asyncio.run(answered(64 * 1024 + 1)))
