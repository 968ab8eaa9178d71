"""The root of the tree."""

__all__ = [
    "TowpathError",
    "TransientError",
]


class TowpathError(Exception):
    """The root of the tree."""


class TransientError:
    """Mix-in: the same call may work a moment later."""
