"""What of a refusal is for the operator: inner names and addresses, paths, settings.

The sentence of an error reaches strangers, by an answer, or by an app that repeats it, so it holds
none of these. They go to the operator's log. Where no request is served, the author of a script
reads the error, and finds them in its notes.
"""

import logging

from towpath.context import current_request
from towpath.errors import DownloadError
from towpath.errors.redaction import shown_url

__all__ = ["tell_operator"]

_log = logging.getLogger(__name__)


def tell_operator(error: DownloadError, detail: str) -> None:
    """Write *detail* about *error* where strangers do not read it."""
    extra = {"audience": "operator", "url": shown_url(error.url)}
    _log.warning("%s (%s)", detail, shown_url(error.url), extra=extra)
    if current_request() is None:
        error.add_note(detail)
