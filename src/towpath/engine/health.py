"""Questions to a runner: is it well, is that request over?"""

import asyncio
from typing import Literal

from towpath.net.upstream import Upstream, UpstreamError
from towpath.runner.wire import ENDED_PATH, HealthRoute

__all__ = ["ended", "is_well"]

_SECONDS = 5.0
_GOOD = range(200, 300)


async def is_well(upstream: Upstream, health: HealthRoute | None) -> bool:
    """Ask a runner by the way that its app declares, else by its `/health`."""
    method, path = ("POST", health.path) if health else ("GET", "/health")
    try:
        async with asyncio.timeout(health.timeout if health else _SECONDS):
            async with await upstream.request(method, path) as answer:
                await answer.read()
                return answer.status in _GOOD
    except (UpstreamError, TimeoutError):
        return False


async def ended(
    upstream: Upstream, request_id: str, *, seconds: float
) -> Literal["over", "gone", "stuck"]:
    """Return what became of a request within *seconds*: `gone` is its runner, with it."""
    try:
        async with asyncio.timeout(seconds):
            async with await upstream.request("GET", f"{ENDED_PATH}{request_id}") as answer:
                return "over" if answer.status in _GOOD else "stuck"
    except TimeoutError:
        return "stuck"
    except UpstreamError:
        return "gone"
