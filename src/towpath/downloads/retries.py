"""What is worth trying again, and when. Pure."""

from towpath.errors import DownloadError, SourceStatusError

__all__ = ["pause_before"]

_FIRST = 0.5
_LONGEST = 30.0


def pause_before(error: DownloadError, attempt: int, *, left: float, chance: float) -> float | None:
    """Return the seconds to wait before trying again, or None when it is not worth it.

    Args:
        error: why the last attempt failed.
        attempt: how many failed in a row, from 1.
        left: seconds of patience that are left.
        chance: a random number from 0 to 1, so that many clients do not come back at once.
    """
    if not error.retryable or left <= 0:
        return None
    asked = error.retry_after if isinstance(error, SourceStatusError) else None
    if asked is not None:
        return asked if asked < left else None
    longest = min(_FIRST * 2 ** (attempt - 1), _LONGEST)
    pause = longest * (0.5 + chance / 2)
    return pause if pause < left else None
