"""Memory for what is on its way: one share, whoever sends.

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

    def has(self, size: int, *, spare: int = 0) -> bool:
        """Return whether so much is left, and *spare* would be left after it."""
        return size + spare <= self._left

    def lend(self, size: int, *, spare: int = 0) -> bool:
        """Lend memory; return whether there is so much left, and *spare* after it."""
        if not self.has(size, spare=spare):
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
        step: bytes that are lent at a time.
        spare: bytes that are left to others when more than one step is lent.
    """

    __slots__ = ("_had", "_memory", "_spare", "_step")

    def __init__(self, memory: Memory, step: int, *, spare: int = 0) -> None:
        self._memory = memory
        self._step = step
        self._spare = spare
        self._had = 0

    def take(self) -> bool:
        """Return whether one step is ours; take it if it is not yet."""
        return self.cover(self._step)

    def cover(self, size: int) -> bool:
        """Return whether memory for *size* bytes is ours; take what is missing, in steps."""
        missing = size - self._had
        if missing <= 0:
            return True
        wanted = -(-missing // self._step) * self._step
        is_first = self._had + wanted <= self._step
        if not self._memory.lend(wanted, spare=0 if is_first else self._spare):
            return False
        self._had += wanted
        return True

    def give_back(self) -> None:
        """Give back all of it."""
        self._memory.give_back(self._had)
        self._had = 0

    close = give_back
