"""The options of an App class: their names, misspelt ones, and values of a wrong type. Pure.

Python keeps a misspelt class attribute without a word, and the app runs on another machine than its
author meant. So a public attribute that almost has an option's name is refused, as a misspelt
setting is. Names of five letters or less are left alone: `tile` is no misspelt `title`.
"""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from towpath.errors import AppDefinitionError
from towpath.errors.redaction import shown
from towpath.setting_types import LIFE_FORM

__all__ = ["check_keyword", "check_names", "check_values", "options_of"]

_SHORT = 5
_NEAR = 0.8
_HOOKS = ("setup", "teardown", "handle_exit", "health", "provide_hints")


def options_of(base: type) -> list[str]:
    """Return the names that *base*, the App class, declares for authors."""
    return [name for name in base.__annotations__ if not name.startswith("_")]


def check_keyword(owner: str, name: str, known: Sequence[str]) -> None:
    """Refuse a class keyword that is no option.

    Raises:
        AppDefinitionError: it is unknown.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
        message = f"{owner} has an unknown option {shown(name, 40)!r}.{hint}"
        raise AppDefinitionError(message)


def check_names(owner: str, attributes: Mapping[str, object], known: Sequence[str]) -> None:
    """Refuse an attribute or a method whose name is nearly that of an option or a hook.

    Raises:
        AppDefinitionError: one is.
    """
    for name, value in attributes.items():
        if name.startswith("_") or name in known or name in _HOOKS:
            continue
        is_method = inspect.isroutine(value)
        near = _near_hook(name) if is_method else _near_option(name, known)
        if near is not None:
            what = "method" if is_method else "attribute"
            message = (
                f"{owner} has the {what} {shown(name, 40)!r}, which is no option. Did you mean "
                f"{near!r}? If it is the class's own, begin its name with an underscore."
            )
            raise AppDefinitionError(message)


def _near_option(name: str, known: Sequence[str]) -> str | None:
    """Return the option that *name* seems to be a misspelling of."""
    long = [option for option in known if len(option) > _SHORT]
    return next(iter(difflib.get_close_matches(name, long, n=1, cutoff=_NEAR)), None)


def _near_hook(name: str) -> str | None:
    """Return the method of App that *name* seems to be a misspelling of.

    A longer name that begins with the hook's, such as `setup_model`, is the author's own.
    """
    others = [hook for hook in _HOOKS if not name.startswith(hook)]
    return next(iter(difflib.get_close_matches(name, others, n=1, cutoff=_NEAR)), None)


def check_values(owner: str, base: type, attributes: Mapping[str, object]) -> None:
    """Refuse an option whose value is of another type than *base* declares.

    Raises:
        AppDefinitionError: one is.
    """
    adapters = _adapters(base)
    for name in attributes.keys() & adapters.keys():
        try:
            adapters[name].validate_python(attributes[name], strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[0]["msg"]
            reason = LIFE_FORM if name == "media_expires_in" else found
            given = shown(repr(attributes[name]), 60)
            message = f"{owner}.{name} cannot be {given}: {reason[:1].lower()}{reason[1:]}."
            raise AppDefinitionError(message) from None


@cache
def _adapters(base: type) -> dict[str, TypeAdapter[Any]]:  # Any: the option's own type
    """Return what checks each option; the name has its own check."""
    hints = {name: hint for name, hint in get_type_hints(base).items() if name != "name"}
    declared = {
        name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is ClassVar
    }
    return {name: TypeAdapter(args[0]) for name, args in declared.items() if args}
