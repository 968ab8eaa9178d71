"""A database server that is away is asked again, more and more slowly, for a while."""

import socket

import pytest
from sqlalchemy import create_engine

from towpath.errors import QueueUnavailableError
from towpath.queue.transactions import open_transactions


def test_a_server_that_is_away_is_asked_again_and_then_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pauses grow to a second, so that a server that starts is not overrun."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    server = open_transactions(create_engine(f"postgresql+psycopg://me@127.0.0.1:{port}/queue"))
    pauses: list[float] = []
    monkeypatch.setattr(server, "_wait", pauses.append)
    with pytest.raises(QueueUnavailableError):
        server.read(lambda session: session)
    assert pauses[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
    assert set(pauses[6:]) == {1.0}
    assert 15 <= sum(pauses) <= 16
