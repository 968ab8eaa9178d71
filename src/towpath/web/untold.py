"""What an answer leaves out of an error, for the operator."""

import logging

from towpath.errors import TowpathError

__all__ = ["note_untold"]

log = logging.getLogger(__name__)


def note_untold(error: BaseException) -> None:
    """Write down an error whose answer leaves names of settings, folders or hosts out."""
    if isinstance(error, TowpathError) and error.told != str(error):
        log.info("an answer leaves out its reason", extra={"reason": str(error)})
