"""What a runner tells its server about requests: lines of logs, progress, ends."""

import json
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from towpath.runner.forks import give_up
from towpath.runner.relay import Relay
from towpath.runner.wire import FOR_OPERATOR

__all__ = ["OPERATOR", "EventPipe"]

OPERATOR = "operator"
"""Stands for the id of a request in lines that are in no request's log."""

_LONGEST = 16 * 1024
_MOST_PENDING = 4 * 2**20
_MOST_KNOWN = 10_000  # requests that something is remembered of; most are forgotten at their end
_PROGRESS_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_NEVER_DROPPED = frozenset({"failed", "end"})  # one each; a request is judged by them

Said = Mapping[str, Any]  # Any: JSON


@dataclass(slots=True)
class _Known:
    """What is remembered of a request.

    Attributes:
        size: bytes of its messages so far.
        told: the moment of its last progress that was passed on.
        held: what it said of its progress since then.
        preview: the last one that it showed.
    """

    size: int = 0
    told: float = -_PROGRESS_SECONDS
    held: Said | None = None
    preview: Any = None  # Any: JSON


class EventPipe:
    """Writes events as lines of JSON; never waits for who reads them.

    What does not fit into the pipe waits here, up to 4 MiB; beyond that, lines and
    progress are dropped, and what a request is judged by is not.

    Args:
        descriptor: the pipe.
        most_bytes: of messages that are kept of one request; what comes after is dropped, and
            said once.
        clock: seconds that only go forward.
    """

    def __init__(
        self, descriptor: int, *, most_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        os.set_blocking(descriptor, False)
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the function's own signature
        self._descriptor = descriptor
        self._most = most_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._more = threading.Event()
        self._known: dict[str, _Known] = {}
        self._holding: set[str] = set()
        self._relay = Relay(self._hear)
        self._is_child = False
        threading.Thread(target=self._drain, name="runner events", daemon=True).start()

    def log(self, request_id: str, level: str, message: str) -> None:
        """Tell a line of a request's log."""
        if self._is_child:
            self._relay.tell("log", request_id, level, message)
            return
        with self._lock:
            is_free = request_id == OPERATOR or level.startswith(FOR_OPERATOR)
            known = _Known() if is_free else self._of(request_id)
            if known.size > self._most:
                return
            size = len(message.encode(errors="replace"))
            if known.size + size >= self._most:
                known.size = self._most + 1
                message = f"more than {self._most} bytes: the rest of this log is dropped"
                level = "WARN"
            else:
                known.size += size + 1
            self._write("log", request_id, level, message)

    def tell_operator(self, request_id: str, message: str) -> None:
        """Tell a line that callers do not read, however much a request has written."""
        self.log(request_id or OPERATOR, f"{FOR_OPERATOR}ERROR", message[:_LONGEST])

    def progress(self, request_id: str, said: Said) -> None:
        """Tell how far a request is: at most ten times a second, the latest of each interval.

        A preview stays until the next one, also one that was said while others were held back.
        """
        if self._is_child:
            self._relay.tell("progress", request_id, "", json.dumps(dict(said)))
            return
        with self._lock:
            known = self._of(request_id)
            if said.get("preview") is not None:
                known.preview = said["preview"]
            known.held = said
            if not self._tell_progress(request_id, known):
                self._holding.add(request_id)
                self._more.set()

    def failed(self, request_id: str, failure: str) -> None:
        """Tell, as JSON, how a request failed whose answer had begun."""
        with self._lock:
            self._write("failed", request_id, "", failure)

    def end(self, request_id: str) -> None:
        """Tell that a request is over; nothing follows of it."""
        self._relay.drain()
        with self._lock:
            known = self._known.get(request_id)
            self._forget(request_id)
            if known is not None and known.held is not None:
                self._write_progress(request_id, known)
            self._write("end", request_id, "", "")

    def forget(self, request_id: str) -> None:
        """Drop what is remembered of a request whose end nobody wants to hear of."""
        with self._lock:
            self._forget(request_id)

    # --- forks ---

    def prepare_fork(self) -> None:
        """Have a way for a child to say what it says."""
        self._relay.prepare()

    def hear_children(self) -> None:
        """Pass on what children say from now on."""
        self._relay.listen()

    def become_child(self) -> None:
        """Leave the pipe to the runner, which hears what is said here and passes it on."""
        self._is_child = True
        give_up([self._descriptor])
        self._relay.become_child()

    def _hear(self, kind: str, request_id: str, level: str, message: str) -> None:
        """Take what a child says."""
        if kind == "progress":
            self.progress(request_id, json.loads(message))
        else:
            self.log(request_id, level, message)

    # --- pieces ---

    def _forget(self, request_id: str) -> None:
        """Drop what is remembered of a request."""
        self._known.pop(request_id, None)
        self._holding.discard(request_id)

    def _of(self, request_id: str) -> _Known:
        """Return what is remembered of a request; threads that outlive theirs do not pile up."""
        known = self._known.get(request_id)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._forget(next(iter(self._known)))
            known = self._known[request_id] = _Known()
        return known

    def _tell_progress(self, request_id: str, known: _Known) -> bool:
        """Pass on what is held if its time has come; return whether it has."""
        now = self._clock()
        if now - known.told < _PROGRESS_SECONDS:
            return False
        known.told = now
        self._holding.discard(request_id)
        self._write_progress(request_id, known)
        return True

    def _write_progress(self, request_id: str, known: _Known) -> None:
        """Write what is held, with the last preview."""
        said = {**(known.held or {}), "preview": known.preview}
        known.held = None
        self._write("progress", request_id, "", json.dumps(said))

    def _write(self, kind: str, request_id: str, level: str, message: str) -> None:
        """Add a line and write what the pipe takes."""
        if len(self._pending) < _MOST_PENDING or kind in _NEVER_DROPPED:
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
        """Write what waits whenever the pipe takes more, and progress when its time has come."""
        while True:
            self._more.wait(_PROGRESS_SECONDS if self._holding else None)
            self._more.clear()
            try:
                if self._pending:
                    select.select([], [self._descriptor], [], _RETRY_SECONDS)
            except (OSError, ValueError):
                return  # the pipe is closed
            with self._lock:
                self._flush()
                for request_id in tuple(self._holding):
                    self._tell_progress(request_id, self._known[request_id])
