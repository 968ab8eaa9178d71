"""What an answer leaves out of an error, for the operator."""

import logging

from towpath.errors import TowpathError
from towpath.web.errors import problem_of

__all__ = ["note_untold"]

log = logging.getLogger(__name__)

_OURS = 500
"""Statuses from here on are the server's fault: its operator should hear of it at any level."""


def note_untold(error: BaseException) -> None:
    """Write down an error whose answer leaves names of settings, folders or hosts out."""
    if isinstance(error, TowpathError) and error.told != str(error):
        level = logging.WARNING if problem_of(error).status >= _OURS else logging.INFO
        log.log(level, "an answer leaves out its reason", extra={"reason": str(error)})
