"""How long a file lives: words and headers -> seconds. Pure."""

import json
from typing import cast

from towpath.context import Lifetime
from towpath.errors.redaction import shown
from towpath.setting_types import LIFE_FORM, LIFETIMES, LONGEST_LIFE

__all__ = ["lifetime_in_header", "seconds_of"]


def seconds_of(lifetime: Lifetime | None) -> int | None:
    """Return *lifetime* in seconds, None for a file that is kept.

    Raises:
        ValueError: it is neither a whole number of seconds, 1 to a hundred years, nor one of the
            words.
    """
    if lifetime is None:
        return None
    if isinstance(lifetime, str) and lifetime in LIFETIMES:
        return LIFETIMES[lifetime]
    if (
        isinstance(lifetime, int)
        and not isinstance(lifetime, bool)
        and 1 <= lifetime <= LONGEST_LIFE
    ):
        return lifetime
    message = f"expires_in={shown(repr(lifetime), 40)} is not a lifetime: {LIFE_FORM}"
    raise ValueError(message)


def lifetime_in_header(header: str) -> Lifetime | None:
    """Read a lifecycle preference, `{"expiration_duration_seconds": N}`; null or 0 = never.

    Returns None when the header says nothing about expiration.

    Raises:
        ValueError: the header is malformed.
    """
    try:
        content = json.loads(header)
    except RecursionError:
        message = "the lifecycle preference is nested too deeply"
        raise ValueError(message) from None
    if not isinstance(content, dict):
        message = "the lifecycle preference is not a JSON object"
        raise ValueError(message)  # noqa: TRY004 - one error for all that is malformed
    if "expiration_duration_seconds" not in content:
        return None
    seconds = content["expiration_duration_seconds"]
    if seconds in (None, 0):
        return "never"
    seconds_of(cast("int", seconds))
    return cast("int", seconds)
