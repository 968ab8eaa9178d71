"""An error and what it was raised from. Pure."""

from collections.abc import Iterator

__all__ = ["causes_of"]

_DEEPEST = 16


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it was raised from explicitly, and the members of groups.

    What an error happened to be raised beside (`__context__`) may have been handled: an app that
    answers "out of memory" with a smaller batch goes on.
    """
    waiting: list[tuple[BaseException, int]] = [(error, 0)]
    while waiting:
        each, depth = waiting.pop()
        yield each
        if depth < _DEEPEST:
            inner = list(each.exceptions) if isinstance(each, BaseExceptionGroup) else []
            cause = [each.__cause__] if each.__cause__ is not None else []
            waiting += [(one, depth + 1) for one in (*inner, *cause)]
