"""Standard streams and logging of a runner: what a request's code writes is its log."""

import io
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from typing_extensions import override

from towpath.context import current_request
from towpath.runner.events import OPERATOR

__all__ = ["RequestHandler", "RequestStream", "route_output"]

_LONGEST = 16 * 1024

Tell = Callable[[str, str, str], None]
"""Takes request id, level and message."""


class RequestStream(io.TextIOBase):
    """A standard stream whose lines belong to the request that writes them.

    Outside of a request it is the stream beneath.

    Args:
        beneath: the process's own stream.
        level: `STDOUT` or `STDERR`.
        tell: takes the lines of requests.
    """

    def __init__(self, beneath: TextIO, level: str, tell: Tell) -> None:
        self._beneath = beneath
        self._level = level
        self._tell = tell
        self._lock = threading.Lock()
        self._started: dict[str, str] = {}

    @override
    def write(self, text: str, /) -> int:
        """Write *text*; whole lines go out at once."""
        request = current_request()
        if request is None or not request.request_id:
            return self._beneath.write(text)
        with self._lock:
            *whole, rest = (self._started.pop(request.request_id, "") + text).split("\n")
            if len(rest) > _LONGEST:
                whole, rest = [*whole, rest], ""
            if rest:
                self._started[request.request_id] = rest
        for line in whole:
            for at in range(0, max(1, len(line)), _LONGEST):
                self._tell(request.request_id, self._level, line[at : at + _LONGEST])
        return len(text)

    def finish(self, request_id: str) -> None:
        """Write what a request began to write and did not end."""
        with self._lock:
            rest = self._started.pop(request_id, "")
        if rest:
            self._tell(request_id, self._level, rest)

    @override
    def flush(self) -> None:
        """Flush the stream beneath; half a line of a request waits for its end."""
        self._beneath.flush()

    @override
    def fileno(self) -> int:
        """Return the descriptor beneath; what is written there is native."""
        return self._beneath.fileno()

    @override
    def isatty(self) -> bool:
        """Return that nobody looks."""
        return False

    @override
    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    @property
    def buffer(self) -> Any:  # noqa: ANN401 - as the stream's own
        """Return the bytes beneath."""
        return self._beneath.buffer

    @property
    @override
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding beneath."""
        return self._beneath.encoding

    @property
    @override
    def errors(self) -> str | None:  # type: ignore[override]
        """Return what is done with characters that cannot be encoded."""
        return self._beneath.errors


class RequestHandler(logging.Handler):
    """Writes log records to their request's log, or to standard error outside of one.

    A request's log is read by its caller. A record with the audience `operator` is in none: it is
    told under an id that no request has, and comes out at the server's standard error.

    Args:
        tell: takes the lines of requests.
    """

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            message = self.format(record)
            if getattr(record, "audience", "") == "operator":
                self._tell(OPERATOR, _level(record.levelno), message[:_LONGEST])
                return
            request = current_request()
            if request is None or not request.request_id:
                sys.stderr.write(f"{record.levelname} {message}\n")
                return
            for line in message.splitlines() or [""]:
                self._tell(request.request_id, _level(record.levelno), line[:_LONGEST])
        except Exception:  # noqa: BLE001 - as every handler of logging
            self.handleError(record)


def _level(number: int) -> str:
    """Return the word that clients know for a level."""
    for least, word in (
        (logging.ERROR, "ERROR"),
        (logging.WARNING, "WARN"),
        (logging.INFO, "INFO"),
    ):
        if number >= least:
            return word
    return "DEBUG"


def route_output(tell: Tell, *, level: str) -> Callable[[str], None]:
    """Make this process's streams and logging those of its requests.

    Returns what writes out the half lines of a request at its end.
    """
    out = RequestStream(sys.stdout, "STDOUT", tell)
    err = RequestStream(sys.stderr, "STDERR", tell)
    sys.stdout, sys.stderr = out, err
    logging.basicConfig(level=level, handlers=[RequestHandler(tell)], format="%(message)s")

    def finish(request_id: str) -> None:
        out.finish(request_id)
        err.finish(request_id)

    return finish
