"""Bodies wait in memory while there is some, and on the disk otherwise; nothing of them is lost."""

import asyncio
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest
from starlette.types import Message

from towpath.errors import StoreFullError
from towpath.gateway.bodies import Bodies, Body
from towpath.web.memory import Loan, Memory

KIB, MIB = 2**10, 2**20
SHARE = 16 * MIB


class Sent:
    """A body as a server receives it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = list(pieces)

    async def receive(self) -> Message:
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


async def content(body: Body) -> bytes:
    found = body.sendable()
    return found if isinstance(found, bytes) else b"".join([piece async for piece in found])


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize(
    ("size", "is_in_memory"),
    [
        (0, True),
        (16 * KIB, True),
        (16 * KIB + 1, True),
        (256 * KIB, True),
        (256 * KIB + 1, True),
        (5 * MIB, True),
        (12 * MIB, True),
        (12 * MIB + 1, False),
        (20 * MIB, False),
    ],
)
@pytest.mark.parametrize("is_declared", [True, False])
def test_where_a_body_waits(
    tmp_path: Path, size: int, is_in_memory: bool, is_declared: bool
) -> None:
    data, bodies = pattern(size), Bodies(tmp_path, 0)

    async def story() -> None:
        sent = Sent(cut(data, 100_000))
        body = await bodies.receive(sent.receive, size if is_declared else None)
        assert (body.spool is None) is is_in_memory
        assert body.size == size
        assert await content(body) == data
        assert await content(body) == data  # another runner gets it too
        body.close()

    asyncio.run(story())
    assert bodies.memory.lend(SHARE)  # all of it is back


@pytest.mark.parametrize("size", [300 * KIB, 5 * MIB, 9 * MIB])
@pytest.mark.parametrize("is_declared", [True, False])
def test_without_memory_a_large_body_goes_to_the_disk(
    tmp_path: Path, size: int, is_declared: bool
) -> None:
    data, bodies = pattern(size), Bodies(tmp_path, 0)
    bodies.memory.lend(SHARE - 4 * MIB)

    async def story() -> None:
        sent = Sent(cut(data, 64 * KIB))
        body = await bodies.receive(sent.receive, size if is_declared else None)
        assert body.spool is not None
        assert await content(body) == data
        body.close()

    asyncio.run(story())
    assert bodies.memory.lend(4 * MIB)


def test_large_bodies_leave_memory_to_small_ones(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path, 0)

    async def story() -> None:
        sent = [Sent(cut(bytes(4 * MIB), 64 * KIB)) for _ in range(5)]
        large = [await bodies.receive(each.receive, 4 * MIB) for each in sent]
        assert [body.spool is None for body in large] == [True, True, True, False, False]
        small = await bodies.receive(Sent([bytes(200 * KIB)]).receive, 200 * KIB)
        assert small.spool is None
        for body in (*large, small):
            body.close()

    asyncio.run(story())
    assert bodies.memory.lend(SHARE)


def test_a_body_takes_memory_as_it_comes_and_not_as_it_is_declared(tmp_path: Path) -> None:
    bodies = Bodies(tmp_path, 0)

    async def story() -> None:
        never = asyncio.Event()

        async def receive() -> Message:
            if never.is_set():
                await asyncio.Event().wait()
            never.set()
            return {"type": "http.request", "body": b"x", "more_body": True}

        task = asyncio.ensure_future(bodies.receive(receive, 10 * MIB))
        await asyncio.sleep(0.05)
        assert bodies.memory.has(SHARE - 256 * KIB)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert bodies.memory.lend(SHARE)


def test_a_body_in_tiny_pieces_takes_no_more_than_its_bytes(tmp_path: Path) -> None:
    """A list of single bytes would take forty times as much."""
    bodies, size = Bodies(tmp_path, 0), 300 * KIB

    async def story() -> None:
        left = size

        async def receive() -> Message:
            nonlocal left
            left -= 1
            return {"type": "http.request", "body": b"x", "more_body": left > 0}

        tracemalloc.start()
        body = await bodies.receive(receive, None)
        assert body.size == size
        assert tracemalloc.get_traced_memory()[1] < 4 * size
        tracemalloc.stop()
        body.close()

    asyncio.run(story())


def test_one_that_is_declared_too_large_for_memory_is_refused_before_it_comes(
    tmp_path: Path,
) -> None:
    bodies = Bodies(tmp_path, 2**60)

    async def receive() -> Message:
        raise AssertionError

    with pytest.raises(StoreFullError):
        asyncio.run(bodies.receive(receive, 13 * MIB))


@pytest.mark.parametrize("size", [256 * KIB, 256 * KIB + 1, 2 * MIB])
def test_who_brings_a_file_finds_large_bodies_in_it(tmp_path: Path, size: int) -> None:
    bodies, made = Bodies(tmp_path, 0), []

    def make():
        made.append(bodies.spools.new())
        return made[0]

    async def story() -> None:
        body = await bodies.receive(Sent(cut(pattern(size), 64 * KIB)).receive, size, make=make)
        assert bool(made) is (size > 256 * KIB)
        assert await content(body) == pattern(size)
        body.close()

    asyncio.run(story())


def test_a_loan_grows_in_steps_and_leaves_the_spare_to_others() -> None:
    memory = Memory(100)
    loan = Loan(memory, 10, spare=30)
    assert loan.cover(0)
    assert loan.cover(11)
    assert memory.has(80)
    assert not memory.has(81)
    assert loan.cover(70)
    assert not loan.cover(71)
    assert Loan(memory, 30, spare=30).take()  # the first step is everybody's
    loan.close()
    assert memory.lend(70)
