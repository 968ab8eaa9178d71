"""Measure beside the peers, in one run, in shuffled order; report ratios, never bare times.

make bench                 everything
make bench BENCH=downloads one of: downloads, serving, calls
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import calls
import downloads
import serving

Candidates = Mapping[str, Callable[[], float]]
BENCHES = {"downloads": downloads.bench, "serving": serving.bench, "calls": calls.bench}


def main() -> None:
    """Run what was asked for and print one table for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], help="which; all by default")
    parser.add_argument("--peers", required=True, help="the Python that has the peers")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.names or BENCHES:
        results = BENCHES[name](arguments.peers, arguments.rounds)
        print(f"\n{name}: median of {arguments.rounds} rounds; ratio = peer's time / towpath's")
        ours = statistics.median(results["towpath"])
        for candidate, seconds in sorted(
            results.items(), key=lambda item: statistics.median(item[1])
        ):
            median = statistics.median(seconds)
            spread = f"{min(seconds):.3f}..{max(seconds):.3f}"
            print(f"  {candidate:24} {median:8.3f} s  [{spread}]  ratio {median / ours:5.2f}")


if __name__ == "__main__":
    main()
