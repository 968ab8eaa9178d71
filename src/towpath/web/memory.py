"""Memory for what is on its way to the disk: one share, whoever sends.

Bytes are gathered before they are written, because many small writes are slow. A limit for each
sender is no limit: five hundred connections that each stop short of a full batch hold five hundred
batches. So a batch gets memory from a common share, and where that is used up, what arrives is
written piece by piece: slower, and nothing stays in memory.
"""

__all__ = ["Loan", "Memory"]

_SIZE = 16 * 2**20


class Memory:
    """What all who gather may have together.

    Args:
        size: bytes.
    """

    def __init__(self, size: int = _SIZE) -> None:
        self._left = size

    def lend(self, size: int) -> bool:
        """Lend memory; return whether there is so much left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Take memory back."""
        self._left += size


class Loan:
    """The memory of one who gathers; `close` gives it back.

    Args:
        memory: the common share.
        size: bytes, when there are any.
    """

    __slots__ = ("_is_had", "_memory", "_size")

    def __init__(self, memory: Memory, size: int) -> None:
        self._memory = memory
        self._size = size
        self._is_had = False

    def take(self) -> bool:
        """Return whether the memory is ours; take it if it is not yet."""
        if not self._is_had:
            self._is_had = self._memory.lend(self._size)
        return self._is_had

    def give_back(self) -> None:
        """Give it back, if it is ours."""
        if self._is_had:
            self._memory.give_back(self._size)
            self._is_had = False

    close = give_back
