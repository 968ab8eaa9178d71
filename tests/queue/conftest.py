from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.support.postgres import postgres

from towpath.queue.opening import open_queue
from towpath.queue.store import RequestQueue

ENGINES = [pytest.mark.engines, pytest.mark.timeout(300)]
Opener = Callable[..., RequestQueue]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=ENGINES)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'queue.db'}"
    url: str = request.getfixturevalue("server")
    emptied(url)
    return url


def emptied(url: str) -> None:
    """Remove all tables."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: str, clock: Clock) -> Iterator[RequestQueue]:
    opened = open_queue(database, clock, max_length=1000)
    yield opened
    opened.close()
