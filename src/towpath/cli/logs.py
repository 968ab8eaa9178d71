"""Log lines: for people in a terminal, JSON for everything else."""

import json
import logging
import sys
from typing import Literal

from typing_extensions import override

from towpath.clock import iso

__all__ = ["set_up_logs"]

_QUIET = ("uvicorn", "watchfiles", "alembic")  # what they say below a warning is for their authors
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what was logged beside the text."""
    return {k: v for k, v in vars(record).items() if k not in _STANDARD and k != "color_message"}


class TextFormatter(logging.Formatter):
    """`12:00:01 info request finished  status=200 ms=3.1`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = "  ".join(f"{key}={value}" for key, value in _fields(record).items())
        head = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower()}"
        line = f"{head} {record.getMessage()}  {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _fields(record)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_logs(form: Literal["auto", "text", "json"], level: str) -> None:
    """Send log lines to standard error; `auto` is text in a terminal, JSON otherwise."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in _QUIET:
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))
