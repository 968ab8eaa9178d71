"""Which requests a runner is at, until their code has really ended."""

import asyncio
from collections import Counter
from collections.abc import Callable

from towpath.temporaries import Keeper

__all__ = ["Registry", "close_aside"]


class Registry:
    """Counts what works for each request.

    Args:
        on_over: called when nothing works for a request any more, with its id and whether
            somebody wants to hear of it.
    """

    def __init__(self, on_over: Callable[[str, bool], None]) -> None:
        self._at_work: Counter[str] = Counter()
        self._waiting: dict[str, asyncio.Event] = {}
        self._traced: set[str] = set()
        self._kept: dict[str, list[Keeper]] = {}
        self._on_over = on_over

    def enter(self, request_id: str, *, is_traced: bool = False) -> None:
        """Note that something works for a request; *is_traced*: its end is to be told."""
        self._at_work[request_id] += 1
        if is_traced:
            self._traced.add(request_id)

    def keep(self, request_id: str, keeper: Keeper) -> None:
        """Close *keeper* when nothing works for a request any more."""
        self._kept.setdefault(request_id, []).append(keeper)

    def leave(self, request_id: str) -> None:
        """Note that it has ended."""
        self._at_work[request_id] -= 1
        if self._at_work[request_id] > 0:
            return
        del self._at_work[request_id]
        was_traced = request_id in self._traced
        self._traced.discard(request_id)
        self._on_over(request_id, was_traced)
        for keeper in self._kept.pop(request_id, ()):
            close_aside(keeper)
        event = self._waiting.pop(request_id, None)
        if event is not None:
            event.set()

    async def over(self, request_id: str) -> None:
        """Return when nothing works for a request."""
        if request_id in self._at_work:
            await self._waiting.setdefault(request_id, asyncio.Event()).wait()


def close_aside(keeper: Keeper) -> None:
    """Remove a request's temporaries, off the event loop; most requests have none."""
    if keeper.is_empty:
        keeper.close()
        return
    try:
        asyncio.get_running_loop().run_in_executor(None, keeper.close)
    except RuntimeError:  # the loop is about to end
        keeper.close()
