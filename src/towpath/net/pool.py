"""Connections that can be used again. A judged address stays judged as long as it is connected."""

import atexit
import os
import threading
import time
from collections.abc import Hashable

from towpath.net.connection import Connection

__all__ = ["Pool", "shared_pool"]

_IDLE_SECONDS = 15.0
_MOST_EACH = 16
_MOST = 64


class Pool:
    """Idle connections by key: origin, policy, proxy, and the headers of who asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Hashable, list[tuple[float, Connection]]] = {}

    def take(self, key: Hashable) -> Connection | None:
        """Return an idle connection that is still open, the newest first, or None."""
        while True:
            with self._lock:
                waiting = self._idle.get(key)
                if not waiting:
                    return None
                since, connection = waiting.pop()
                if not waiting:
                    del self._idle[key]
            if time.monotonic() - since < _IDLE_SECONDS and connection.is_quiet():
                return connection
            connection.close()

    def give(self, key: Hashable, connection: Connection) -> None:
        """Keep *connection* for the next request, if there is room for it."""
        now = time.monotonic()
        with self._lock:
            old = self._expired(now)
            waiting = self._idle.setdefault(key, [])
            waiting.append((now, connection))
            if len(waiting) > _MOST_EACH or sum(map(len, self._idle.values())) > _MOST:
                old.append(waiting.pop(0)[1])
        for each in old:
            each.close()

    def _expired(self, now: float) -> list[Connection]:
        """Take out what waited too long."""
        old = []
        for key, waiting in list(self._idle.items()):
            kept = [entry for entry in waiting if now - entry[0] < _IDLE_SECONDS]
            old += [c for since, c in waiting if now - since >= _IDLE_SECONDS]
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]
        return old

    def clear(self) -> None:
        """Close everything that waits."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for _, connection in waiting:
                connection.close()

    def forget(self) -> None:
        """Start anew in a forked child: the sockets are its parent's."""
        self._lock = threading.Lock()
        idle, self._idle = self._idle, {}
        for waiting in idle.values():
            for _, connection in waiting:
                connection.close()  # the child's copy of the descriptor; the parent's stays open


shared_pool = Pool()
atexit.register(shared_pool.clear)
os.register_at_fork(after_in_child=shared_pool.forget)
