"""The head of an answer and the first of its body, in one write.

uvicorn writes the head when the app has said what it is, and the body when the app sends it. For a
small answer that is two system calls here, and the other end often wakes for the head alone. To
wait for the body before anything is written would be wrong: a stream may say nothing for minutes
after its head. So a head waits until the event loop comes round, and leaves with whatever came
until then. The same is done by TCP_CORK and MSG_MORE (tcp(7), send(2)), for TCP only; runners and
most proxies are reached over Unix sockets.
"""

import asyncio

__all__ = ["Joint"]

_MOST_COPIED = 64 * 1024  # of a body; to copy more would cost more than the call


class Joint:
    """Stands for the transport of one answer, and joins its head to what follows.

    Args:
        transport: what is written to.
        loop: it runs in.

    Attributes:
        is_holding: whether what is written now is the head.
    """

    __slots__ = ("_head", "_loop", "_transport", "is_holding")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_holding = False

    def hold(self, head: bytes) -> None:
        """Keep a head until more comes, or the loop comes round."""
        self._head += head
        self._loop.call_soon(self.flush)

    def take(self) -> bytes:
        """Return the head that is held, for somebody who sends it with the body."""
        head, self._head = self._head, b""
        return head

    def flush(self) -> None:
        """Write the head that is held."""
        head = self.take()
        if head and not self._transport.is_closing():
            self._transport.write(head)

    def write(self, data: bytes) -> None:
        """Write *data*, after the head."""
        if self.is_holding:
            self.hold(data)
        elif self._head and len(data) <= _MOST_COPIED:
            self._transport.write(self.take() + data)
        else:
            self.flush()
            self._transport.write(data)

    def close(self) -> None:
        """Close the transport when all is written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether it is closed, or about to be."""
        return self._transport.is_closing()
