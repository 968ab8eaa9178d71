"""How many descriptors the server may have: as many as the system lets it.

The soft limit is 1024 on most systems, for programs that use `select`; the hard one is what the
operator allows (https://0pointer.net/blog/file-descriptor-limits.html). A server that stays at the
soft one is short of descriptors at a load that it could bear.
"""

import logging
import resource

__all__ = ["raise_descriptor_limit"]

log = logging.getLogger(__name__)


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of descriptors to the hard one; return what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:  # macOS refuses its own infinite hard limit
        log.warning("descriptors stay limited", extra={"limit": soft, "reason": str(error)})
        return soft
    log.info("descriptors may be as many as the system allows", extra={"from": soft, "to": hard})
    return hard
