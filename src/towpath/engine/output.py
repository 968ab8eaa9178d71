"""What apps print, in the server's log: a record for each line, with app, process and request."""

import logging

from towpath.engine.pipes import Event
from towpath.runner.wire import FOR_OPERATOR

__all__ = ["OUTPUT", "log_output"]

OUTPUT = "towpath.apps"

log = logging.getLogger(OUTPUT)

_LEVELS = {"DEBUG": logging.DEBUG, "WARN": logging.WARNING, "ERROR": logging.ERROR}
_SOURCES = {"STDOUT": "stdout", "STDERR": "stderr"}


def log_output(app: str, pid: int, event: Event) -> None:
    """Write down one line that the process *pid* of *app* printed or logged; not an empty one."""
    if not event.message.strip():
        return
    word = event.level.removeprefix(FOR_OPERATOR)
    level = _LEVELS.get(word, logging.INFO)
    fields = {"app": app, "pid": pid, "source": _SOURCES.get(word, "log")}
    fields |= {"request_id": event.request_id}
    record = log.makeRecord(OUTPUT, level, "", 0, _whole(event.message), (), None, extra=fields)
    record.created = event.at or record.created
    log.handle(record)


def _whole(text: str) -> str:
    """Return *text* with U+FFFD for lone surrogates, which no stream of UTF-8 takes."""
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
