"""Draw a sample of mutants from a room, by a seed.

The naive way, a list of all mutants and `random.sample`, draws other mutants after each edit of
the code, so that no two runs can be compared. Here each mutant has a rank, the digest of the seed
and of what it changes (file, function, line of code, change), and the lowest ranks are drawn: an
edit moves only the mutants of the lines that it touches.

The operators are those of cosmic-ray (MIT). Its own runner is not used: it mutates files in place
and knows no sample. mutmut 3 (BSD) was the other choice: it wraps each function in a dispatcher,
which the signatures that FastAPI reads do not survive, and knows no sample either.
"""

import ast
import difflib
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

# Replacements of variables need arguments that name the variable.
_NEEDS_ARGUMENTS = {"VariableReplacer", "VariableInserter"}
# Only type checkers read these decorators, and slots only save memory: a change changes nothing.
_INERT = ("@override", "@overload", "slots=")
_WIDEST = 200
# Where these many operators look; the others look everywhere.
_LOOKS_AT = {"ReplaceBinaryOperator": "operator", "ReplaceComparisonOperator": "comparison"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file.

    Attributes:
        room: the room that the file is of.
        path: the file, from the top of the checkout.
        line: the first line that changes.
        inside: the class and function that it is in; "" at the top of the file.
        operator: the name of the operator.
        before: the lines that it takes away, without their indent.
        after: the lines that it puts there, without their indent.
        code: the whole changed file.
    """

    room: str
    path: str
    line: int
    inside: str
    operator: str
    before: str
    after: str
    code: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what names the mutant whatever its line number is."""
        return self.path, self.inside, self.before, self.after

    def diff(self) -> str:
        """Return the change as a person reads it."""
        taken = [f"-   {line}" for line in self.before.splitlines()]
        put = [f"+   {line}" for line in self.after.splitlines()]
        return "\n".join([*taken, *put])


@dataclass(frozen=True, slots=True)
class _Source:
    """A file of the room."""

    path: str
    text: str
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class _Site:
    """A place in a file, and what may be done to it: (operator, its occurrence in the file)."""

    source: _Source
    line: int
    changes: tuple[tuple[str, int], ...]


def draw(root: Path, room: str, *, count: int, seed: str) -> list[Mutant]:
    """Return *count* mutants of a room, of different places, by their rank.

    A place is drawn first and one of its changes then: `a + b` has eleven, `not a` has one, and
    each is one decision of the author.
    """
    folder = root / "src" / "towpath" / room
    sources = [_source(root, path) for path in sorted(folder.rglob("*.py"))]
    sites = [site for source in sources for site in _sites(source)]
    drawn: list[Mutant] = []
    for rank, site in sorted(_ranked(sites, seed), key=lambda pair: pair[0]):
        mutant = _mutant(room, site, rank)
        if mutant is not None:
            drawn.append(mutant)
        if len(drawn) == count:
            break
    return drawn


def _source(root: Path, path: Path) -> _Source:
    """Read a file."""
    text = path.read_text()
    return _Source(str(path.relative_to(root)), text, ast.parse(text))


def _sites(source: _Source) -> Iterator[_Site]:
    """Yield the places of a file that an operator can change."""
    annotations = set(_annotations(source.tree))
    nodes = list(ast_nodes(get_ast(source.text)))
    found: defaultdict[tuple[object, ...], list[tuple[str, int]]] = defaultdict(list)
    for name in plugins.operator_names():
        if name.partition("/")[2] in _NEEDS_ARGUMENTS:
            continue
        for occurrence, (start, end, node) in enumerate(_positions(name, nodes)):
            if start not in annotations and not _is_inert(node):
                found[start[0], start[1], end, _family(name)].append((name, occurrence))
    for (line, *_), changes in found.items():
        yield _Site(source, int(str(line)), tuple(changes))


def _positions(name: str, nodes: list[Any]) -> Iterator[tuple[tuple[int, int], object, Any]]:
    """Yield where an operator can change a file, in the order of its occurrences."""
    operator = plugins.get_operator(name)()
    kind = _LOOKS_AT.get(_family(name))
    for node in nodes:
        if kind is None or node.type == kind:
            for start, end in operator.mutation_positions(node):
                yield start, end, node


def _family(operator: str) -> str:
    """Return the kind of change: `core/ReplaceBinaryOperator_Add_Sub` is a ReplaceBinaryOperator."""
    return operator.partition("/")[2].partition("_")[0]


def _is_inert(node: Any) -> bool:
    """Say whether a change of *node* changes nothing that runs: `*` in a signature, `@override`."""
    if getattr(node.parent, "type", "") == "parameters":
        return True
    around = node.parent if getattr(node.parent, "type", "") == "argument" else node
    return around.get_code(include_prefix=False).startswith(_INERT)


def _annotations(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield the positions (line, column) inside annotations, which only type checkers read."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            noted = getattr(node, name, None)
            if noted is not None:
                yield from _within(noted)


def _within(node: ast.expr) -> Iterator[tuple[int, int]]:
    """Yield the positions that an expression covers."""
    end_line = node.end_lineno or node.lineno
    for line in range(node.lineno, end_line + 1):
        first = node.col_offset if line == node.lineno else 0
        last = node.end_col_offset if line == end_line else _WIDEST
        yield from ((line, column) for column in range(first, last or _WIDEST))


def _ranked(sites: Iterable[_Site], seed: str) -> Iterator[tuple[str, _Site]]:
    """Yield each place with its rank; equal lines of one function count up."""
    seen: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for site in sites:
        line = site.source.text.splitlines()[site.line - 1].strip()
        key = (site.source.path, _inside(site), line, _family(site.changes[0][0]))
        seen[key] += 1
        text = "\0".join((seed, *key, str(seen[key])))
        yield hashlib.sha256(text.encode()).hexdigest(), site


def _mutant(room: str, site: _Site, rank: str) -> Mutant | None:
    """Make one of the changes of a place; None if it is no program."""
    operator, occurrence = site.changes[int(rank[-8:], 16) % len(site.changes)]
    code = mutate_code(site.source.text, plugins.get_operator(operator)(), occurrence)
    if code is None or not _compiles(code):
        return None
    before, after = _changed(site.source.text, code)
    return Mutant(
        room=room,
        path=site.source.path,
        line=site.line,
        inside=_inside(site),
        operator=operator.partition("/")[2],
        before=before,
        after=after,
        code=code,
    )


def _compiles(code: str) -> bool:
    """Say whether *code* is a program."""
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _changed(source: str, code: str) -> tuple[str, str]:
    """Return the lines that a change takes away, and those that it puts there."""
    lines = [(line[:2], line[2:].strip()) for line in _ndiff(source, code)]
    taken = "\n".join(text for mark, text in lines if mark == "- " and text)
    put = "\n".join(text for mark, text in lines if mark == "+ " and text)
    return taken, put


def _ndiff(source: str, code: str) -> list[str]:
    """Compare two texts by lines."""
    return list(difflib.ndiff(source.splitlines(), code.splitlines()))


def _inside(site: _Site) -> str:
    """Return the class and function that a place is in."""
    names: list[str] = []
    scope: ast.AST | None = site.source.tree
    while scope is not None:
        scope = next((n for n in ast.iter_child_nodes(scope) if _holds(n, site.line)), None)
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(scope.name)
    return ".".join(names)


def _holds(node: Any, line: int) -> bool:
    """Say whether a statement, with its decorators, covers *line*."""
    if isinstance(node, ast.match_case):
        return any(_holds(child, line) for child in node.body)
    if not isinstance(node, ast.stmt | ast.ExceptHandler):
        return False
    decorators = getattr(node, "decorator_list", [])
    first = min(each.lineno for each in (node, *decorators))
    return first <= line <= (node.end_lineno or first)
