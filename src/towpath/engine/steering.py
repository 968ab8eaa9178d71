"""What an app's answer asks of the server, by its headers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Orders", "orders_in"]

_STOP = "x-fal-stop-runner"
_CHECK = "x-fal-runner-health-check"
_YES = frozenset({"1", "true"})
_NO = frozenset({"0", "false"})
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Orders:
    """What to do with a runner after its answer.

    Attributes:
        stop: whether to replace it.
        check: whether to ask it now whether it is well; one failure replaces it.
    """

    stop: bool = False
    check: bool = False


_NOTHING = Orders()


def orders_in(status: int, headers: Mapping[str, str]) -> Orders:
    """Read the orders of an answer: 503 replaces a runner, unless the app says otherwise.

    Args:
        status: of the answer.
        headers: of the answer, names in lower case.
    """
    stop, check = headers.get(_STOP), headers.get(_CHECK)
    if stop is None and check is None and status != _UNAVAILABLE:
        return _NOTHING
    word = (stop or "").strip().lower()
    is_stopped = word in _YES or (status == _UNAVAILABLE and word not in _NO)
    return Orders(is_stopped, (check or "").strip().lower() in _YES)
