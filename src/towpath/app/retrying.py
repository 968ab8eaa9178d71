"""How often a queued request is tried again, by what went wrong. Pure.

One number of tries for every failure is wrong twice: a request that kills its runner was tried ten
times, and ten runners died of it, while an answer of 503 wants all of its tries. So each condition
has a budget of its own, in the words that clients send (`X-Fal-Retry-Config`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from towpath.errors import AppDefinitionError
from towpath.errors.redaction import shown

__all__ = ["MOST_TRIES", "Condition", "RetryBudgets", "budgets_in", "budgets_of"]

Condition = Literal["server_error", "timeout", "connection_error"]
"""`server_error`: 503, 504, an answer that broke off. `timeout`: beyond the app's request_timeout.
`connection_error`: the runner ended, or had no memory left."""
CONDITIONS: Final[tuple[Condition, ...]] = get_args(Condition)
MOST_TRIES: Final = 10
"""Tries in all, whatever is asked for."""
_LONGEST_HEADER = 1000


@dataclass(frozen=True, slots=True)
class RetryBudgets:
    """Tries after the first one, by what went wrong.

    Attributes:
        server_error, timeout, connection_error: tries that a failure of the kind may cost.
    """

    server_error: int = MOST_TRIES - 1
    timeout: int = 0
    connection_error: int = 1

    def of(self, condition: Condition) -> int:
        """Return the budget of *condition*."""
        budget: int = getattr(self, condition)
        return budget


def budgets_of(
    config: Mapping[str, Mapping[str, int]] | None, skipped: Sequence[str]
) -> RetryBudgets:
    """Return the budgets that an app declares.

    Args:
        config: `{"timeout": {"retries": 3}}`; conditions left out keep their defaults.
        skipped: conditions after which nothing is tried again.

    Raises:
        AppDefinitionError: one of them is something else.
    """
    budgets = RetryBudgets()
    if config is not None:
        try:
            budgets = replace(budgets, **_read(config))
        except ValueError as error:
            raise AppDefinitionError(f"retry_config: {error}") from None
    unknown = [word for word in _listed(skipped) if word not in CONDITIONS]
    if unknown:
        message = f"skip_retry_conditions: {shown(str(unknown[0]), 40)!r} is unknown. {_known()}"
        raise AppDefinitionError(message)
    return replace(budgets, **dict.fromkeys(skipped, 0))


def budgets_in(header: str | None, budgets: RetryBudgets) -> RetryBudgets:
    """Return *budgets* as a request's `X-Fal-Retry-Config` changes them; junk changes nothing."""
    if header is None or len(header) > _LONGEST_HEADER:
        return budgets
    try:
        return replace(budgets, **_read(json.loads(header)))
    except (ValueError, RecursionError):
        return budgets


def _read(config: Any) -> dict[str, int]:  # noqa: ANN401 - what somebody wrote
    """Return the budgets that *config* names.

    Raises:
        ValueError: it is not a table of `{"retries": number}` by condition.
    """
    if not isinstance(config, Mapping) or not config:
        message = (
            f'{shown(repr(config), 60)} is not a table such as {{"timeout": {{"retries": 1}}}}.'
        )
        raise ValueError(message)
    found: dict[str, int] = {}
    for word, entry in config.items():
        if word not in CONDITIONS:
            message = f"{shown(str(word), 40)!r} is unknown. {_known()}"
            raise ValueError(message)
        if not isinstance(entry, Mapping) or set(entry) != {"retries"}:
            message = f'{word} is {shown(repr(entry), 60)}; write {{"retries": number}}.'
            raise ValueError(message)
        if type(entry["retries"]) is not int:
            message = (
                f"{word} has {shown(repr(entry['retries']), 60)} retries; write a whole number."
            )
            raise ValueError(message)
        found[word] = min(max(0, entry["retries"]), MOST_TRIES - 1)
    return found


def _listed(skipped: Any) -> Sequence[Any]:  # noqa: ANN401 - what an author wrote
    """Return *skipped* if it is a list.

    Raises:
        AppDefinitionError: it is something else.
    """
    if isinstance(skipped, str) or not isinstance(skipped, Sequence):
        message = f"skip_retry_conditions is {shown(repr(skipped), 60)}; write a list. {_known()}"
        raise AppDefinitionError(message)
    return skipped


def _known() -> str:
    """Name the conditions."""
    return f"Known: {', '.join(each.name for each in fields(RetryBudgets))}."
