"""Standard streams and logging of a runner: what a request's code writes is its log."""

import io
import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TextIO

from typing_extensions import override

from towpath.context import current_request
from towpath.runner.events import OPERATOR
from towpath.runner.forks import give_up
from towpath.runner.wire import FOR_OPERATOR

__all__ = ["Output", "RequestHandler", "RequestStream", "route_output"]

_LONGEST = 16 * 1024
_INNER = frozenset({"asyncio", "concurrent", "towpath", "uvicorn"})
"""Loggers of what runs the app, and tells of exceptions that the app does not catch."""

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
        self._is_child = False

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

    def become_child(self) -> None:
        """Write for a forked child: the runner's threads, which may hold a lock, are not here."""
        self._lock = threading.Lock()
        self._started = {}
        self._is_child = True
        raw = io.FileIO(self._beneath.fileno(), "w", closefd=False)
        encoding, errors = self._beneath.encoding, self._beneath.errors
        self._beneath = io.TextIOWrapper(raw, encoding, errors, write_through=True)

    @override
    def flush(self) -> None:
        """Flush the stream beneath; half a line of a request waits for its end.

        Not in a child: nobody tells it of an end.
        """
        if self._is_child:
            for request_id in tuple(self._started):
                self.finish(request_id)
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

    A request's log is read by its caller. The lines of a record with the audience `operator` are
    marked: they are in the server's log, and in the request's as the operator reads it. So are
    the tracebacks that what runs the app logs; the request's log has one sentence then.

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
                self._tell_operator(record.levelno, message)
                return
            if _is_inner(record):
                self._tell_operator(record.levelno, message)
                message = _summary(record)
            request = current_request()
            if request is None or not request.request_id:
                sys.stderr.write(f"{record.levelname} {message}\n")
                return
            for line in message.splitlines() or [""]:
                self._tell(request.request_id, _level(record.levelno), line[:_LONGEST])
        except Exception:  # noqa: BLE001 - as every handler of logging
            self.handleError(record)

    def _tell_operator(self, number: int, message: str) -> None:
        """Tell what callers do not read; under the request's id, if there is one."""
        request = current_request()
        named = request.request_id if request is not None else ""
        for line in message.splitlines() or [""]:
            self._tell(named or OPERATOR, f"{FOR_OPERATOR}{_level(number)}", line[:_LONGEST])


def _is_inner(record: logging.LogRecord) -> bool:
    """Return whether what runs the app logs an exception, or asyncio a failure with its place."""
    room = record.name.partition(".")[0]
    has_place = bool(record.exc_info) or (room == "asyncio" and record.levelno >= logging.ERROR)
    return has_place and room in _INNER


def _summary(record: logging.LogRecord) -> str:
    """Return what callers read in the place of a traceback."""
    kind = record.exc_info[0] if record.exc_info else None
    what = f"failed with {kind.__name__}" if kind is not None else "failed"
    return f"Code in thread {record.threadName} {what}; the server's log says why."


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


@dataclass(frozen=True, slots=True)
class Output:
    """The standard streams of a runner.

    Attributes:
        out: standard output.
        err: standard error.
        spares: copies of the descriptors 0, 1 and 2.
        watch: says at once which of these are closed.
    """

    out: RequestStream
    err: RequestStream
    spares: Mapping[int, int]
    watch: select.poll

    def finish(self, request_id: str) -> None:
        """Write out the half lines of a request at its end.

        Open again what it closed of 0, 1 and 2: the next socket would have that number, and
        get what native code prints.
        """
        self.out.finish(request_id)
        self.err.finish(request_id)
        for descriptor, found in self.watch.poll(0):
            if found & select.POLLNVAL:
                os.dup2(self.spares[descriptor], descriptor)

    def flush(self) -> None:
        """Write out what is buffered, so that a fork does not copy it."""
        for stream in (self.out, self.err):
            with suppress(OSError, ValueError):  # the app may have closed it
                stream.flush()

    def become_child(self) -> None:
        """Write for a forked child."""
        give_up(self.spares.values())
        for stream in (self.out, self.err):
            with suppress(OSError, ValueError):
                stream.become_child()


def route_output(tell: Tell, *, level: str) -> Output:
    """Make this process's streams and logging those of its requests."""
    spares, watch = {descriptor: os.dup(descriptor) for descriptor in range(3)}, select.poll()
    for descriptor in spares:
        watch.register(descriptor, 0)  # for no event: closed ones are told all the same
    output = Output(
        RequestStream(sys.stdout, "STDOUT", tell),
        RequestStream(sys.stderr, "STDERR", tell),
        spares,
        watch,
    )
    sys.stdout, sys.stderr = output.out, output.err
    logging.basicConfig(level=level, handlers=[RequestHandler(tell)], format="%(message)s")
    return output
