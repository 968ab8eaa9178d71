"""Shuffled rounds of candidates."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping

import uvicorn
from starlette.types import ASGIApp

__all__ = ["served", "timed_rounds"]


def served(app: ASGIApp) -> int:
    """Serve *app* by plain uvicorn in a thread; return its port."""
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off")
    sock = config.bind_socket()
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return int(sock.getsockname()[1])


def timed_rounds(
    candidates: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Call every candidate once a round, each round in another order; return their seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        order = sorted(candidates, key=lambda _: secrets.randbits(32))
        for name in order:
            seconds[name].append(candidates[name]())
    return seconds
