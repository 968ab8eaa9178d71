"""Word that a request has changed, for those who watch it."""

import asyncio
from collections import defaultdict
from contextlib import suppress

__all__ = ["Changes"]


class Changes:
    """Wakes who waits for a request to change.

    Several servers may share a queue, so that a change may come from elsewhere: nobody waits
    longer than a second without looking.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def note(self, request_id: str) -> None:
        """Wake who watches *request_id*."""
        for event in self._waiting.get(request_id, ()):
            event.set()

    async def wait(self, request_id: str, seconds: float = 1.0) -> None:
        """Return when *request_id* has changed, or after *seconds*."""
        event = asyncio.Event()
        self._waiting[request_id].add(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            self._waiting[request_id].discard(event)
            if not self._waiting[request_id]:
                del self._waiting[request_id]
