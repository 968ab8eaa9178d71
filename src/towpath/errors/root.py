"""The root of the tree."""

__all__ = [
    "TowpathError",
    "TransientError",
]


class TowpathError(Exception):
    """The root of the tree.

    Attributes:
        advice: what the operator or the author can do, by the names of settings; the message ends
            with it.
    """

    advice: str = ""

    @property
    def told(self) -> str:
        """What a caller of the server is told: nothing of its settings, folders and neighbours."""
        return str(self).removesuffix(self.advice).rstrip()


class TransientError:
    """Mix-in: the same call may work a moment later."""
