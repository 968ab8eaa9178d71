"""@batch: calls that come at the same time are one call with lists."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin

from towpath.errors import AppDefinitionError

__all__ = ["BatchSpec", "batch", "batch_of", "largest_batch", "single_signature"]

F = TypeVar("F", bound=Callable[..., Any])  # Any: the author's own signature
_MARK = "__towpath_batch__"


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """How calls are gathered.

    Attributes:
        max_size: calls of one batch.
        max_wait: seconds that the first call of a batch waits for others.
    """

    max_size: int
    max_wait: float


def batch(*, max_size: int, max_wait: float = 0.01) -> Callable[[F], F]:
    """Gather the calls of an endpoint: its method takes a list and returns one as long.

        @towpath.endpoint("/")
        @towpath.batch(max_size=8, max_wait=0.02)
        def run(self, inputs: list[Input]) -> list[Output]:
            return self.model(inputs)

    Each caller sends one Input and gets one Output. The method may be async. A runner of the app
    works on at least *max_size* requests at once. What the method raises, all callers of the batch
    get; a caller who left before the batch began is not in it.

    Args:
        max_size: calls of one batch, at least 1.
        max_wait: seconds that the first call of a batch waits for others.

    Raises:
        AppDefinitionError: the method cannot be called with lists.
    """
    if max_size < 1 or max_wait < 0:
        message = f"batch(max_size={max_size}, max_wait={max_wait}): give at least 1, and 0 s."
        raise AppDefinitionError(message)

    def mark(function: F) -> F:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            message = f"{function.__qualname__} yields; a batched method returns a list."
            raise AppDefinitionError(message)
        setattr(function, _MARK, BatchSpec(max_size, max_wait))
        return function

    return mark


def batch_of(function: object) -> BatchSpec | None:
    """Return the spec that `batch` left on *function*, if it did."""
    spec = getattr(function, _MARK, None)
    return spec if isinstance(spec, BatchSpec) else None


def largest_batch(kind: type) -> int:
    """Return the largest batch of the class's methods, 0 when it has none."""
    found = (batch_of(getattr(kind, name, None)) for name in dir(kind) if not name.startswith("__"))
    return max((spec.max_size for spec in found if spec is not None), default=0)


def single_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of one call of a batched method: items instead of lists.

    Raises:
        AppDefinitionError: a parameter, or what is returned, is no list.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_item(function, name, hints.get(name)))
        for name, parameter in signature.parameters.items()
    ]
    returned = hints.get("return")
    single = inspect.Signature.empty if returned is None else _item(function, "return", returned)
    return signature.replace(parameters=parameters, return_annotation=single)


def _item(function: Callable[..., Any], name: str, annotation: object) -> Any:  # noqa: ANN401 - an annotation
    """Return what a list is of."""
    if get_origin(annotation) is not list:
        what = "returns" if name == "return" else f"takes {name} as"
        message = (
            f"{function.__qualname__} is batched and {what} {annotation}; write list[…]: one item "
            "for each call."
        )
        raise AppDefinitionError(message)
    return get_args(annotation)[0]
