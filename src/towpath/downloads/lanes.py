"""How many connections the whole process has towards a host."""

import os
import threading
from collections import Counter

__all__ = ["Lanes", "shared_lanes"]

_MOST = 32


class Lanes:
    """Counts helper connections: 32 in the process, and what each download allows per host."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: Counter[str] = Counter()

    def take(self, host: str, most: int) -> bool:
        """Take a lane to *host* unless *most* or the process's limit is reached."""
        with self._lock:
            if self._hosts[host] >= most or self._hosts.total() >= _MOST:
                return False
            self._hosts[host] += 1
            return True

    def give(self, host: str) -> None:
        """Give a lane back."""
        with self._lock:
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]

    def forget(self) -> None:
        """Start anew in a forked child, whose threads are gone."""
        self._lock = threading.Lock()
        self._hosts.clear()


shared_lanes = Lanes()
os.register_at_fork(after_in_child=shared_lanes.forget)
