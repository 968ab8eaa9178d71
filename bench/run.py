"""Measure beside the peers, in one run, in shuffled order; report ratios, never bare times.

make bench                 everything
make bench BENCH=downloads one of: downloads, media, cdn, calls, serving, queues, playground
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import Sample, Table

NAMES = ("downloads", "media", "cdn", "calls", "serving", "queues", "playground")


def _tables(name: str, peers: str, rounds: int) -> Iterable[Table]:
    """Run one benchmark; only its own modules are loaded, so that this process stays small."""
    found = import_module(name).bench(peers, rounds)
    return [_table(name, found)] if isinstance(found, dict) else found


def _table(title: str, seconds: Mapping[str, list[float]]) -> Table:
    """Put seconds into a table."""
    return Table(title, {n: [Sample(each) for each in got] for n, got in seconds.items()})


def main() -> None:
    """Run what was asked for and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; all by default")
    parser.add_argument("--peers", required=True, help="the Python that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    peers = str(Path(arguments.peers).absolute())
    print("medians of shuffled rounds; ratio = a candidate's time / towpath's")
    for name in arguments.names or NAMES:
        for table in _tables(name, peers, arguments.rounds):
            table.show()
            sys.stdout.flush()


if __name__ == "__main__":
    main()
