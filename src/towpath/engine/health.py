"""Questions to a runner: is it well, is that request over?

An answer that does not come has two reasons, which must not be taken for each other: the runner is
ill, or this server lacks a descriptor to ask it. The second says nothing of the runner.
"""

import asyncio
from typing import Literal

from towpath.net.upstream import RefusedError, ShortageError, Upstream, UpstreamError
from towpath.runner.wire import ENDED_PATH, HealthRoute

__all__ = ["Health", "ended", "health_of"]

_SECONDS = 5.0
_GOOD = range(200, 300)
_SHORTAGE_PAUSE = 0.5

Health = Literal["well", "ill", "unreachable", "unasked"]


async def health_of(upstream: Upstream, health: HealthRoute | None) -> Health:
    """Ask a runner by the way that its app declares, else by its `/health`."""
    method, path = ("POST", health.path) if health else ("GET", "/health")
    try:
        async with asyncio.timeout(health.timeout if health else _SECONDS):
            async with await upstream.request(method, path) as answer:
                await answer.read()
                return "well" if answer.status in _GOOD else "ill"
    except ShortageError:
        return "unasked"
    except RefusedError:
        return "unreachable"
    except (UpstreamError, TimeoutError):
        return "ill"


async def ended(
    upstream: Upstream, request_id: str, *, seconds: float
) -> Literal["over", "gone", "stuck"]:
    """Return what became of a request within *seconds*: `gone` is its runner, with it."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await _asked(upstream, request_id)
                except ShortageError:
                    await asyncio.sleep(_SHORTAGE_PAUSE)
    except TimeoutError:
        return "stuck"


async def _asked(upstream: Upstream, request_id: str) -> Literal["over", "gone", "stuck"]:
    """Ask once; the answer comes when the request is over.

    Raises:
        ShortageError: this server cannot ask now.
    """
    try:
        async with await upstream.request("GET", f"{ENDED_PATH}{request_id}") as answer:
            return "over" if answer.status in _GOOD else "stuck"
    except ShortageError:
        raise
    except UpstreamError:
        return "gone"
