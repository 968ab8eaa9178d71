"""The names of the apps in a file, read before its code is run. Pure, but for reading the file.

A server knows an app by the name that its class has once it was loaded, which may take minutes when
an environment has to be made first. Until then callers and `/ready` are told of it by the name that
its source shows. A name that the code computes is known only later.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from towpath.app.loading import AppReference
from towpath.app.naming import kebab

__all__ = ["names_in"]

_NAME = "name"


def names_in(reference: AppReference) -> tuple[str, ...]:
    """Return the names that the apps of *reference* seem to have: one at least."""
    found = tuple(dict.fromkeys(_named(reference))) if reference.is_file else ()
    return found or (_fallback(reference),)


def _fallback(reference: AppReference) -> str:
    """Return the name that follows from the reference alone."""
    last = Path(reference.source).stem if reference.is_file else reference.source.split(".")[-1]
    return kebab(reference.class_name or last)[:63] or "app"


def _named(reference: AppReference) -> Iterator[str]:
    """Yield the names of the classes that have endpoints."""
    try:
        tree = ast.parse(Path(reference.source).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef) and (
            kind.name == reference.class_name or (not reference.class_name and _is_served(kind))
        ):
            yield _given_name(kind) or kebab(kind.name)


def _is_served(kind: ast.ClassDef) -> bool:
    """Return whether a method of a class is marked as an endpoint."""
    methods = (
        each for each in kind.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return any(_is_endpoint(mark) for method in methods for mark in method.decorator_list)


def _is_endpoint(mark: ast.expr) -> bool:
    """Return whether a decorator is `endpoint(…)` or `towpath.endpoint(…)`."""
    function = mark.func if isinstance(mark, ast.Call) else mark
    named = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return bool(named == "endpoint")


def _given_name(kind: ast.ClassDef) -> str | None:
    """Return the name that a class is given as a literal, by keyword or in its body."""
    values = [keyword.value for keyword in kind.keywords if keyword.arg == _NAME]
    for statement in kind.body:
        if isinstance(statement, ast.Assign) and any(map(_is_name, statement.targets)):
            values.append(statement.value)
        elif isinstance(statement, ast.AnnAssign) and _is_name(statement.target):
            values += [statement.value] if statement.value is not None else []
    texts = [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return texts[0] if texts else None


def _is_name(target: ast.expr) -> bool:
    """Return whether it is the app's name that is assigned to."""
    return isinstance(target, ast.Name) and target.id == _NAME
