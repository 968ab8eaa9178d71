"""How far a request is, told by its endpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from towpath.context import current_request, report_progress
from towpath.files.previews import preview_file

if TYPE_CHECKING:
    from towpath.files.previews import Preview

__all__ = ["progress"]

_LONGEST = 1000


def progress(
    done: float,
    total: float | None = None,
    message: str | None = None,
    preview: Preview | None = None,
) -> None:
    """Tell who waits for this request how far it is.

    Shown in the status of queued requests; cheap enough for every step: ten a second are passed
    on, the latest of each interval. A preview stays until the next one. Outside of a request
    it does nothing.

    Args:
        done: what is done, in any unit.
        total: of how much, if that is known.
        message: what is being done, at most 1000 characters.
        preview: a picture that shows the result so far. A PIL image or an array is saved as a JPEG
            for an hour; a File keeps the life that it was made with.

    Raises:
        ValueError: a number is not finite.
        UploadError: the preview could not be stored.
    """
    for name, number in (("done", done), ("total", total)):
        if number is not None and not math.isfinite(number):
            raise ValueError(f"progress({name}={number}): give a finite number")
    if current_request() is None:
        return
    shown = preview_file(preview).model_dump(mode="json") if preview is not None else None
    said = {"done": done, "total": total, "message": message and message[:_LONGEST]}
    report_progress({**said, "preview": shown})
