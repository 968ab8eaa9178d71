"""`make mutants`: draw mutants by a seed, try them, and tell which of them no test notices."""

import argparse
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tests.mutants.drawing import Mutant, draw
from tests.mutants.trying import Tree

ROOT = Path(__file__).parents[2]
ROOMS = ("downloads", "storage", "queue", "gateway", "net", "cdn")
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
_Key = tuple[str, str, str, str]
_T = TypeVar("_T")
_R = TypeVar("_R")


def main() -> int:
    """Return 0 if every mutant is caught or named as equivalent."""
    given = _arguments()
    rooms = tuple(given.room) or ROOMS
    drawn = [m for room in rooms for m in draw(ROOT, room, count=given.count, seed=given.seed)]
    drawn = [m for m in drawn if given.only in m.path]
    reasons = equivalents(EQUIVALENT.read_text())
    print(f"{len(drawn)} mutants of {', '.join(rooms)}; seed {given.seed!r}", flush=True)
    known = [m for m in drawn if m.key in reasons]
    unknown = [m for m in drawn if m.key not in reasons]
    for mutant in known:
        _tell(mutant, "equivalent", reasons[mutant.key])
    if given.list:
        for mutant in unknown:
            _tell(mutant, "drawn", mutant.operator)
        return 0
    fates = Counter(_tried(unknown, given.python.absolute(), given.jobs))
    print(f"{fates['caught']} caught, {fates['survived']} survived, {len(known)} equivalent")
    return 1 if fates["survived"] else 0


def _arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="has the project's packages")
    parser.add_argument("--count", type=int, default=11, help="mutants of each room")
    parser.add_argument("--seed", default="towpath", help="another word draws other mutants")
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are tried at once")
    parser.add_argument("--only", default="", help="files whose path holds this")
    parser.add_argument("--list", action="store_true", help="draw, and run no test")
    parser.add_argument("room", nargs="*", help=f"default: {' '.join(ROOMS)}")
    return parser.parse_args()


def equivalents(text: str) -> dict[_Key, str]:
    """Return why no test can notice some mutants, by what they change."""
    return {
        (row["path"], row["inside"], row["before"].strip(), row["after"].strip()): row["reason"]
        for row in tomllib.loads(text).get("mutant", [])
    }


def _tried(mutants: list[Mutant], python: Path, jobs: int) -> Iterator[str]:
    """Try mutants, tell what became of each as soon as it is known, and yield its fate."""
    with tempfile.TemporaryDirectory(prefix="towpath-mutants-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for n in range(jobs):
            trees.put(Tree(ROOT, python, Path(folder) / str(n)))
        wholes = _each(trees, jobs, sorted({m.room for m in mutants}), Tree.measure)
        patience = {}
        for room, (seconds, failed) in wholes:
            if failed is not None:
                sys.exit(f"{failed} fails without a mutant: mend it first.")
            print(f"{room}: its tests pass in {seconds:.0f} s", flush=True)
            patience[room] = 60 + 3 * seconds
        given = [(mutant, patience[mutant.room]) for mutant in mutants]
        for (mutant, _), caught_by in _each(trees, jobs, given, Tree.catches):
            fate = "caught" if caught_by else "survived"
            _tell(mutant, fate, caught_by or "")
            yield fate


def _each(
    trees: SimpleQueue[Tree], jobs: int, given: Iterable[_T], do: Callable[[Tree, _T], _R]
) -> Iterator[tuple[_T, _R]]:
    """Do something with each thing in a tree that is free; yield them in their order."""

    def in_a_tree(thing: _T) -> tuple[_T, _R]:
        tree = trees.get()
        try:
            return thing, do(tree, thing)
        finally:
            trees.put(tree)

    with ThreadPoolExecutor(jobs) as threads:
        yield from threads.map(in_a_tree, given)


def _tell(mutant: Mutant, fate: str, why: str) -> None:
    """Print what became of a mutant."""
    print(f"{fate}: {mutant.path}:{mutant.line} in {mutant.inside or 'the module'}: {why}")
    print(mutant.diff(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
