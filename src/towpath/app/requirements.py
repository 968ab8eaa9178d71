"""What an app needs besides ours, read from its file before the code in it can be run."""

import ast
from collections.abc import Iterator
from pathlib import Path

from towpath.app.loading import AppReference

__all__ = ["requirements_in"]

_NAME = "requirements"


def requirements_in(reference: AppReference) -> tuple[str, ...]:
    """Return the requirements that the classes of a file declare as literals.

    A module, a file that cannot be read or parsed, and a list that is computed have none here; an
    app whose class says otherwise when it is loaded is refused then.
    """
    if not reference.is_file:
        return ()
    try:
        tree = ast.parse(Path(reference.source).read_text())
    except (OSError, SyntaxError, ValueError):
        return ()
    found: dict[str, None] = {}
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef) and reference.class_name in {None, kind.name}:
            found |= dict.fromkeys(_declared(kind))
    return tuple(found)


def _declared(kind: ast.ClassDef) -> Iterator[str]:
    """Yield the requirements of one class: its keyword, or the attribute in its body."""
    values = [keyword.value for keyword in kind.keywords if keyword.arg == _NAME]
    for statement in kind.body:
        if isinstance(statement, ast.Assign):
            values += [statement.value for target in statement.targets if _is_it(target)]
        elif isinstance(statement, ast.AnnAssign) and statement.value and _is_it(statement.target):
            values.append(statement.value)
    for value in values:
        yield from _texts(value)


def _is_it(target: ast.expr) -> bool:
    """Return whether a name that is assigned to is the one."""
    return isinstance(target, ast.Name) and target.id == _NAME


def _texts(value: ast.expr) -> Iterator[str]:
    """Yield the texts of a literal list."""
    try:
        listed = ast.literal_eval(value)
    except ValueError:
        return
    if isinstance(listed, list | tuple):
        yield from (text for text in listed if isinstance(text, str))
