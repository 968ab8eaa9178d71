"""What a runner tells its server about requests: lines of logs, progress, ends."""

import json
import os
import select
import threading
import time

__all__ = ["OPERATOR", "EventPipe"]

OPERATOR = "operator"
"""Stands for the id of a request in lines that are in no request's log."""

_MOST_PENDING = 4 * 2**20
_PROGRESS_SECONDS = 0.1
_RETRY_SECONDS = 1.0


class EventPipe:
    """Writes events as lines of JSON; never waits for who reads them.

    What does not fit into the pipe waits here, up to 4 MiB; beyond that, lines are dropped.

    Args:
        descriptor: the pipe.
        most_bytes: of messages that are kept of one request; what comes after is dropped, and
            said once.
    """

    def __init__(self, descriptor: int, *, most_bytes: int) -> None:
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the function's own signature
        self._descriptor = descriptor
        self._most = most_bytes
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._more = threading.Event()
        self._bytes: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self._held: dict[str, str] = {}
        threading.Thread(target=self._drain, name="runner events", daemon=True).start()

    def log(self, request_id: str, level: str, message: str) -> None:
        """Tell a line of a request's log."""
        with self._lock:
            before = 0 if request_id == OPERATOR else self._bytes.get(request_id, 0)
            if before > self._most:
                return
            size = len(message.encode(errors="replace"))
            self._bytes[request_id] = before + size + 1
            if before + size >= self._most:
                self._bytes[request_id] = self._most + 1
                message = f"more than {self._most} bytes: the rest of this log is dropped"
                level = "WARN"
            self._write("log", request_id, level, message)

    def progress(self, request_id: str, content: str) -> None:
        """Tell how far a request is: at most ten times a second, the last one always."""
        now = time.monotonic()
        with self._lock:
            if now - self._told.get(request_id, 0.0) < _PROGRESS_SECONDS:
                self._held[request_id] = content
                return
            self._told[request_id] = now
            self._held.pop(request_id, None)
            self._write("progress", request_id, "", content)

    def failed(self, request_id: str, failure: str) -> None:
        """Tell, as JSON, how a request failed whose answer had begun."""
        with self._lock:
            self._write("failed", request_id, "", failure)

    def end(self, request_id: str) -> None:
        """Tell that a request is over; nothing follows of it."""
        with self._lock:
            self._told.pop(request_id, None)
            self._bytes.pop(request_id, None)
            held = self._held.pop(request_id, None)
            if held is not None:
                self._write("progress", request_id, "", held)
            self._write("end", request_id, "", "")

    def forget(self, request_id: str) -> None:
        """Drop what is remembered of a request whose end nobody wants to hear of."""
        with self._lock:
            for kept in (self._told, self._bytes, self._held):
                kept.pop(request_id, None)

    def _write(self, kind: str, request_id: str, level: str, message: str) -> None:
        """Add a line and write what the pipe takes."""
        if len(self._pending) < _MOST_PENDING or kind == "end":
            said = {"kind": kind, "id": request_id, "level": level, "message": message}
            self._pending += json.dumps(said | {"at": time.time()}).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        """Write what the pipe takes; leave the rest to the thread."""
        try:
            while self._pending:
                written = os.write(self._descriptor, self._pending)
                del self._pending[:written]
        except BlockingIOError:
            self._more.set()
        except OSError:
            self._pending.clear()  # the server is gone, and this process is about to be

    def _drain(self) -> None:
        """Write what waits whenever the pipe takes more."""
        while True:
            self._more.wait()
            self._more.clear()
            try:
                select.select([], [self._descriptor], [], _RETRY_SECONDS)
            except (OSError, ValueError):
                return  # the pipe is closed
            with self._lock:
                self._flush()
