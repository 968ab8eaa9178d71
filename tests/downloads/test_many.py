"""Many files, a few at a time."""

import asyncio
from pathlib import Path

import pytest
from tests.support.origin import Origin

from towpath.errors import SourceStatusError
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_files, download_files_async

pytestmark = pytest.mark.usefixtures("settings")


def test_the_order_is_kept(origin: Origin, data_dir: Path) -> None:
    urls = [origin.put(f"/{n}.bin", str(n).encode()) for n in range(30)]
    paths = download_files(urls, "in", concurrency=5)
    assert [path.read_text() for path in paths] == [str(n) for n in range(30)]
    assert asyncio.run(download_files_async(urls, "in")) == paths


def test_no_more_than_the_bound_are_open_at_once() -> None:
    most = [0]

    def behave(exchange: Exchange) -> None:
        most[0] = max(most[0], sum(server._open.values()))
        exchange.wait(0.05)
        exchange.answer(b"x")

    with origin_of({f"/{n}": behave for n in range(12)}) as server:
        download_files([server.url(f"/{n}") for n in range(12)], "in", concurrency=3)
    assert most[0] == 3


def test_connections_are_used_again() -> None:
    ports: set[int] = set()

    def behave(exchange: Exchange) -> None:
        ports.add(exchange._sock.getpeername()[1])
        exchange.answer(b"x")

    with origin_of({f"/{n}": behave for n in range(20)}) as server:
        download_files([server.url(f"/{n}") for n in range(20)], "in", concurrency=2)
    assert len(ports) <= 4


def test_the_rest_finish_before_the_errors_come(origin: Origin, data_dir: Path) -> None:
    good = [origin.put(f"/{n}", b"x") for n in range(4)]
    with pytest.raises(ExceptionGroup, match="2 of 6 downloads failed") as caught:
        download_files([origin.url("/no1"), *good, origin.url("/no2")], "in")
    assert [type(error) for error in caught.value.exceptions] == [SourceStatusError] * 2
    assert "/no1" in str(caught.value.exceptions[0])
    assert len(list((data_dir / "in").iterdir())) == 4


def test_none_are_none() -> None:
    assert download_files([], "in") == []
    with pytest.raises(ValueError, match="concurrency=0"):
        download_files([], "in", concurrency=0)
