"""Log lines: for people in a terminal, JSON for everything else.

What a line is made of may come from strangers: paths, headers, what an app prints of its input. In
text form a line break in it would begin a line of their own making, and an escape sequence would
be obeyed by the terminal that shows the log (CWE-117, CWE-150). So each record is one line, and
control characters are written as escapes.
"""

import json
import logging
import sys
from typing import Literal

from typing_extensions import override

from towpath.cli.outlet import Outlet
from towpath.clock import iso
from towpath.engine.output import OUTPUT

__all__ = ["JsonFormatter", "TextFormatter", "set_up_logs", "visible"]

_QUIET = ("uvicorn", "watchfiles", "alembic")  # what they say below a warning is for their authors
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OF_OUTPUT = ("app", "pid", "source")


def visible(text: str) -> str:
    """Return *text* with its control characters, line breaks too, as escapes; tabs stay."""
    if text.isprintable():
        return text
    shown = (
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )
    return "".join(shown)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what was logged beside the text."""
    return {k: v for k, v in vars(record).items() if k not in _STANDARD and k != "color_message"}


def _pair(key: str, value: object) -> str:
    """Write a field; a value that could be taken for several fields has quotes."""
    text = visible(str(value))
    plain = text and not any(c in text for c in ' \t"=')
    return f"{key}={text}" if plain else f"{key}={json.dumps(text, ensure_ascii=False)}"


class TextFormatter(logging.Formatter):
    """`12:00:01 info request finished  status=200`, `12:00:01 local/echo[71] stdout: hello`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields, time = _fields(record), self.formatTime(record, "%H:%M:%S")
        if record.name == OUTPUT:
            app, pid, source = (fields.pop(name, "") for name in _OF_OUTPUT)
            head = f"{time} {visible(str(app))}[{pid}] {source}:"
        else:
            head = f"{time} {record.levelname.lower()}"
        pairs = "  ".join(_pair(key, value) for key, value in fields.items() if value != "")
        line = f"{head} {visible(record.getMessage().rstrip())}  {pairs}".rstrip()
        return f"{line}\n{self._traceback(record)}" if record.exc_info else line

    def _traceback(self, record: logging.LogRecord) -> str:
        """Return the traceback, indented: no line of it looks like one of the log's own."""
        lines = self.formatException(record.exc_info).split("\n") if record.exc_info else []
        return "\n".join(f"    {visible(line)}" for line in lines)


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


class _OutletHandler(logging.Handler):
    """Hands records to the outlet.

    Args:
        outlet: what writes them.
    """

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self._outlet = outlet

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Format a record; one that cannot be is written down by its text."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a log line must not stop what logs it
            line = f"{record.levelname.lower()} {visible(str(record.msg))}"
        self._outlet.say(line)


def set_up_logs(form: Literal["auto", "text", "json"], level: str, outlet: Outlet) -> None:
    """Send log lines to standard error; `auto` is text in a terminal, JSON otherwise."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    text = form == "text" or (form == "auto" and is_terminal)
    handler = _OutletHandler(outlet)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger(OUTPUT).setLevel(logging.DEBUG)  # what apps print is shown at any level
    for library in _QUIET:
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))
