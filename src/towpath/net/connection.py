"""One connection to a stranger's server: every wait ends, every head is bounded."""

import select
import socket
import ssl
import struct
import time

from towpath.errors import BadResponseError, SourceUnavailableError
from towpath.net.patience import Watch

__all__ = ["BUFFER", "ClosedError", "Connection"]

BUFFER = 256 * 1024  # measured: less costs CPU, more is slower and fatter
_TICK = 0.25
_TICK_TIMEVAL = struct.pack("ll", 0, int(_TICK * 1e6))
_HEAD_READ = 16 * 1024
_MOST_HEAD = 64 * 1024
_LONGEST_LINE = 4096


class ClosedError(SourceUnavailableError):
    """The connection was closed before an answer began: perhaps while it waited to be used."""


class Connection:
    """A dialled socket, with the bytes that came and were not yet asked for.

    Attributes:
        address: the judged address at its other end.
        uses: how many requests went over it.
    """

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._has_tls = isinstance(sock, ssl.SSLSocket)
        if not self._has_tls:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TICK_TIMEVAL)
        self.address = address
        self.uses = 0
        self._sock = sock
        self._let_wait()
        self._rest = memoryview(b"")
        self._watch: Watch | None = None
        self._heard = self._window_start = self._next_look = 0.0
        self._window = 0

    @property
    def piece(self) -> int:
        """Return how many bytes are worth a buffer: half as many under TLS, which has its own."""
        return BUFFER // 2 if self._has_tls else BUFFER

    def _let_wait(self) -> None:
        """Let reads wait for a tick: by the kernel's own time limit, or Python's under TLS.

        The kernel's spares a poll before each read, and fills a whole buffer in one call.
        """
        self._sock.settimeout(_TICK if self._has_tls else None)

    def start(self, watch: Watch) -> None:
        """Begin a request under *watch*."""
        self._watch = watch
        self.uses += 1
        self._heard = self._window_start = now = time.monotonic()
        self._next_look = now + _TICK
        self._window = 0

    def send(self, data: bytes) -> None:
        """Send a request."""
        patience = self._watching().patience
        self._sock.settimeout(patience.remaining())
        try:
            self._sock.sendall(data)
        except ConnectionError:
            reason = "the connection was closed before the request was sent"
            raise ClosedError(patience.url, reason) from None
        self._let_wait()

    # --- heads ---

    def read_head(self) -> bytes:
        """Return the bytes of one head, up to its empty line.

        Raises:
            BadResponseError: it is longer than 64 KiB, or ends within.
            SourceUnavailableError: nothing came, or too late.
        """
        watch = self._watching()
        until = time.monotonic() + watch.first_byte
        head = bytearray(self._rest)
        self._rest = memoryview(b"")
        while (end := _end_of_head(head)) < 0:
            if len(head) > _MOST_HEAD:
                reason = f"its headers are longer than {_MOST_HEAD} bytes"
                raise BadResponseError(watch.patience.url, reason)
            if time.monotonic() > until:
                reason = f"its headers were not complete after {watch.first_byte:g} s"
                raise SourceUnavailableError(watch.patience.url, reason)
            more = self._some(_HEAD_READ)
            if more is None:
                continue
            if not more:
                self._ended_in_head(head)
            head += more
        self._rest = memoryview(bytes(head[end:]))
        return bytes(head[:end])

    def _ended_in_head(self, head: bytearray) -> None:
        """Say that the server closed before the end of its head."""
        url = self._watching().patience.url
        if not head:
            raise ClosedError(url, "the server closed the connection without an answer")
        if not b"HTTP/".startswith(bytes(head[:5])):
            raise BadResponseError(url, "its answer is not HTTP")
        reason = "the server closed the connection within its headers"
        raise SourceUnavailableError(url, reason)

    def read_line(self) -> bytes:
        """Return the next line with its end, cut at 4096 bytes; a part of one at the end."""
        line = bytearray()
        while True:
            if not self._rest:
                more = self._some(_HEAD_READ)
                if more is None:
                    continue
                if not more:
                    return bytes(line)
                self._rest = memoryview(more)
            taken = bytes(self._rest[: _LONGEST_LINE - len(line)])
            end = taken.find(b"\n") + 1
            taken = taken[:end] if end else taken
            self._rest = self._rest[len(taken) :]
            line += taken
            if end or len(line) >= _LONGEST_LINE:
                return bytes(line)

    # --- bodies ---

    def fill(self, view: memoryview) -> int:
        """Read into *view* until it is full, nothing comes for a moment, or the stream ends.

        Returns:
            How many bytes came; 0 only at the end.
        """
        got = min(len(self._rest), len(view))
        if got:
            view[:got] = self._rest[:got]
            self._rest = self._rest[got:]
        unseen = 0
        while got < len(view):
            try:
                size = self._read_into(view[got:])
            except (TimeoutError, BlockingIOError):
                self._check(unseen)
                unseen = 0
                if got:
                    break
                continue
            got += size
            unseen += size
            if not size or (time.monotonic() >= self._next_look and self._check(unseen)):
                return got
        self._window += unseen
        return got

    def _read_into(self, view: memoryview) -> int:
        """Read what comes, the whole *view* if it comes soon; 0 at the end."""
        if isinstance(self._sock, ssl.SSLSocket):
            return self._sock.read(len(view), view)  # type: ignore[return-value]
        return self._sock.recv_into(view, len(view), socket.MSG_WAITALL)

    def _some(self, most: int) -> bytes | None:
        """Return what comes next: b'' at the end, None when nothing came for a moment."""
        try:
            data = self._sock.recv(most)
        except (TimeoutError, BlockingIOError):
            self._check(0)
            return None
        self._check(len(data))
        return data

    def _check(self, size: int) -> bool:
        """Count what came; a few times a second look whether to go on, and return True then.

        Raises:
            SourceUnavailableError: the connection is too slow, or patience has ended.
        """
        now = time.monotonic()
        self._window += size
        if size:
            self._heard = now
        if now < self._next_look:
            return False
        self._next_look = now + _TICK
        watch = self._watching()
        if watch.on_tick is not None:
            watch.on_tick()
        watch.patience.remaining()
        if now - self._heard > watch.stall:
            reason = f"the host stalled: nothing came over the connection for {watch.stall:g} s"
            raise SourceUnavailableError(watch.patience.url, reason)
        if now - self._window_start > watch.stall:
            self._judge_window(watch, now)
        return True

    def _judge_window(self, watch: Watch, now: float) -> None:
        """Compare the last window with the slowest rate; begin a new one."""
        seconds = now - self._window_start
        if self._window < watch.slowest * seconds:
            rate = f"{self._window} bytes came in {seconds:.0f} s"
            reason = f"the host is slow: {rate}, and {watch.slowest} a second are the least"
            raise SourceUnavailableError(watch.patience.url, reason)
        self._window_start, self._window = now, 0

    def _watching(self) -> Watch:
        """Return the watch of the current request."""
        if self._watch is None:
            message = "start() comes before reading and sending"
            raise RuntimeError(message)
        return self._watch

    # --- between requests ---

    @property
    def has_rest(self) -> bool:
        """Whether bytes came that nobody asked for."""
        return bool(self._rest)

    def is_quiet(self) -> bool:
        """Return whether the connection can be used again: still open, and nothing came."""
        poll = select.poll()
        try:
            poll.register(self._sock, select.POLLIN)
            return not poll.poll(0)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


def _end_of_head(head: bytearray) -> int:
    """Return where the empty line ends that closes a head, or -1."""
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := head.find(mark)) >= 0]
    return min(ends, default=-1)
