"""A traceback as the author of an app wants it: the lines of his code, without ours."""

import re
import traceback
from pathlib import Path

__all__ = ["authors_traceback", "last_place"]

_BETWEEN = re.compile(
    r"/site-packages/(starlette|fastapi|anyio|uvicorn)/"
    r"|/python3\.\d+/(asyncio/|concurrent/|contextlib\.py|threading\.py)"
)
"""What calls an endpoint, or passes its error on."""
_OURS = f"{Path(__file__).parent.parent}/"


def authors_traceback(error: BaseException) -> str:
    """Format *error* and its causes, less the frames of what calls the author's code.

    An error that no other code has frames in has no traceback: the text is empty.
    """
    report = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = report
    found = isinstance(error, SyntaxError)
    while each is not None:
        each.stack = traceback.StackSummary.from_list(
            [frame for frame in each.stack if _is_foreign(frame.filename)]
        )
        found = found or bool(each.stack)
        each = each.__cause__ or each.__context__
    return "".join(report.format()) if found else ""


def last_place(error: BaseException) -> str:
    """Return `app.py, line 3`: where the author's code was last; '' if it was not reached."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if _is_foreign(frame.filename)]
    return f"{Path(theirs[-1].filename).name}, line {theirs[-1].lineno}" if theirs else ""


def _is_foreign(filename: str) -> bool:
    """Return whether a frame is neither towpath's, its web framework's nor the import system's."""
    is_import = filename.startswith("<frozen ") or filename.endswith("/importlib/__init__.py")
    return not (is_import or filename.startswith(_OURS) or _BETWEEN.search(filename))
