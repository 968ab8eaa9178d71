"""How far a request is, told by its endpoint."""

import json
import math

from towpath.context import report_progress
from towpath.files.file import File

__all__ = ["progress"]

_LONGEST = 1000


def progress(
    done: float,
    total: float | None = None,
    message: str | None = None,
    preview: File | None = None,
) -> None:
    """Tell who waits for this request how far it is.

    Shown in the status of queued requests; cheap enough for every step: ten a second are passed
    on, and the last one always. Outside of a request it does nothing.

    Args:
        done: what is done, in any unit.
        total: of how much, if that is known.
        message: what is being done, at most 1000 characters.
        preview: a file that shows the result so far.

    Raises:
        ValueError: a number is not finite.
    """
    for name, number in (("done", done), ("total", total)):
        if number is not None and not math.isfinite(number):
            raise ValueError(f"progress({name}={number}): give a finite number")
    shown = preview.model_dump(mode="json") if preview is not None else None
    said = {"done": done, "total": total, "message": message and message[:_LONGEST]}
    report_progress(json.dumps({**said, "preview": shown}))
