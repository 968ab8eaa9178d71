"""What the forked children of a runner say of its requests comes back to it as datagrams.

A child cannot write into the runner's pipe to the server: the runner may have written half a line
when it was forked. A datagram arrives whole or not at all, whoever writes beside.
"""

import json
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from towpath.runner.forks import give_up

__all__ = ["Relay"]

_LARGEST = 192 * 1024  # a line of 16 Ki characters, each escaped, is 96 KiB
_MOST_AT_ONCE = 10_000  # a child that never stops keeps no request from its end

Take = Callable[[str, str, str, str], None]
"""Takes kind, request id, level and message."""


class Relay:
    """A way from children to the runner; made at the first fork, because most apps fork nothing.

    Args:
        take: called in the runner with what children say.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._is_read = False

    def prepare(self) -> None:
        """Make the sockets that a child will have."""
        with self._lock:
            if self._ends is None:
                here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                here.setblocking(False)  # noqa: FBT003 - the method's own signature
                there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
                self._ends = here, there

    def listen(self) -> None:
        """Read what children say from now on, in a thread."""
        with self._lock, suppress(RuntimeError):  # no thread can start while the process ends
            if self._ends is not None and not self._is_read:
                self._is_read = True
                threading.Thread(target=self._read, name="runner relay", daemon=True).start()

    def become_child(self) -> None:
        """Use the other end from now on; the runner's threads and their locks are not here."""
        self._lock = threading.Lock()
        if self._ends is not None:
            give_up([self._ends[0].fileno()])

    def tell(self, kind: str, request_id: str, level: str, message: str) -> None:
        """Say something to the runner, from a child; what is too large or too late is dropped."""
        if self._ends is not None:
            said = json.dumps([kind, request_id, level, message]).encode()
            with suppress(OSError):
                self._ends[1].send(said)

    def drain(self) -> None:
        """Take what children have said so far."""
        if self._ends is None:
            return
        with self._lock, suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                said = self._ends[0].recv(_LARGEST)
                with suppress(ValueError, TypeError):  # not what `tell` writes
                    self._take(*json.loads(said))

    def _read(self) -> None:
        """Take what children say, for as long as the process lives."""
        assert self._ends is not None  # noqa: S101 - for the type checker
        while True:
            select.select([self._ends[0]], [], [])
            self.drain()
