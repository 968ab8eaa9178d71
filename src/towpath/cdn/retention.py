"""The sweeper: removes the bytes of files whose life is over."""

import asyncio
import logging

from towpath.concurrency import in_thread
from towpath.storage.file_store import FileStore

__all__ = ["keep_swept"]

log = logging.getLogger(__name__)

_PERIOD = 30.0
_RECOVERY_PERIOD = 3600.0


async def keep_swept(store: FileStore, *, period: float = _PERIOD) -> None:
    """Recover what killed processes left, then sweep every *period* seconds, until cancelled.

    One process of those that share a store does; another takes over when it ends. Reads refuse an
    expired file from its second on, whatever the sweeper did.
    """
    loop = asyncio.get_running_loop()
    next_recovery = loop.time()
    while True:
        try:
            if not await in_thread(store.elect)():
                await asyncio.sleep(period)
                continue
            if loop.time() >= next_recovery:
                await in_thread(store.recover)()
                next_recovery = loop.time() + _RECOVERY_PERIOD
            removed = await in_thread(store.sweep_expired)()
        except Exception:
            log.exception("sweep failed; it is tried again")
        else:
            if removed:
                log.info("expired files removed", extra={"files": removed})
        await asyncio.sleep(period)
