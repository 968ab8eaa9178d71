"""How the command writes sizes and times. Pure."""

__all__ = ["SPANS", "ago", "ahead", "size_of"]

_UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def size_of(number: int) -> str:
    """Write bytes with a unit."""
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} B"


def ago(seconds: float) -> str:
    """Write how long ago something was."""
    return f"{_span(seconds)} ago" if seconds >= 1 else "now"


def ahead(seconds: float) -> str:
    """Write how long something has."""
    return f"in {_span(seconds)}" if seconds >= 1 else "over"


def _span(seconds: float) -> str:
    """Write a span of at least a second."""
    name, unit = next(
        (name, unit) for name, unit in reversed(SPANS.items()) if seconds >= unit and name != "w"
    )
    return f"{seconds / unit:.0f} {name}"
