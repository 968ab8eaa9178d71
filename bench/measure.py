"""Run candidates in processes of their own, in shuffled rounds; wall, CPU and memory of each."""

import os
import secrets
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Run", "Sample", "Table", "command", "prepared", "put_aside", "python", "tables_of"]

_TIMED = """
import re, sys, time
url, target, *rest = sys.argv[1:]
def rss(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
{setup}
base, cpu, began = rss(), time.process_time(), time.perf_counter()
{work}
print("measured", time.perf_counter() - began, time.process_time() - cpu, rss(), rss() - base)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds, seconds of CPU, MiB at most, MiB above the imports (None: a command)."""

    wall: float
    cpu: float = 0.0
    rss: float = 0.0
    grown: float | None = None


_TINY = 0.01
Run = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Table:
    """What one comparison brought.

    Attributes:
        samples: by the candidate's name.
        ours: what ratios refer to.
        note: what else there is to say.
        goals: the least ratio of a candidate that is promised.
    """

    title: str
    samples: Mapping[str, Sequence[Sample]]
    ours: str = "towpath"
    note: str = ""
    goals: Mapping[str, float] = field(default_factory=dict)

    def show(self) -> None:
        """Print it, the fastest first."""
        print(f"\n{self.title}")
        median = {n: statistics.median(s.wall for s in got) for n, got in self.samples.items()}
        columns = f"{'n':>3}{'wall s':>9}{'best':>9}{'ratio':>8}{'CPU s':>8}{'MiB':>6}{'grown':>7}"
        print(f"  {'':28}{columns}")
        for name in sorted(median, key=lambda each: median[each]):
            got = self.samples[name]
            best = min(s.wall for s in got)
            cpu = statistics.median(s.cpu for s in got)
            rss = max(s.rss for s in got)
            grown = [s.grown for s in got if s.grown is not None]
            growth = f"{max(grown):7.1f}" if grown else "      -"
            ratio = median[name] / median[self.ours]
            print(
                f"  {name:28}{len(got):3}{_short(median[name])}{_short(best)}{ratio:8.2f}"
                f"{cpu:8.2f}{rss:6.0f}{growth}"
            )
        for name, least in self.goals.items():
            ratio = median[name] / median[self.ours]
            print(f"  goal: {name} >= {least:.3g}: {'met' if ratio >= least else 'NOT MET'}")
        if self.note:
            print(f"  {self.note}")


def _short(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    return f"{seconds:9.3f}" if seconds >= _TINY else f"{seconds * 1e6:7.1f}us"


def tables_of(
    title: str, candidates: Mapping[str, Run], rounds: int, goals: Mapping[str, float] | None = None
) -> Table:
    """Run every candidate once a round, each round in another order."""
    samples: dict[str, list[Sample]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name in sorted(candidates, key=lambda _: secrets.randbits(32)):
            samples[name].append(candidates[name]())
    return Table(title, samples, next(iter(candidates)), goals=goals or {})


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/tmp", **extra}


def python(
    interpreter: str,
    code: Mapping[str, str],
    arguments: Sequence[str],
    *,
    prefix: Sequence[str] = (),
    **environment: str,
) -> Sample:
    """Run `setup`, then time `work`, which have `url`, `target` and `rest`."""
    done = subprocess.run(
        [*prefix, interpreter, "-c", _TIMED.format(**code), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=_environment(environment),
    )
    line = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
    if done.returncode or not line:
        raise RuntimeError(done.stderr[-2000:])
    wall, cpu, rss, grown = map(float, line[-1].split()[1:])
    return Sample(wall, cpu, rss, grown)


def command(words: Sequence[str], **environment: str) -> Sample:
    """Time a command from its start to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment(environment)
    )
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stderr:
        process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{words[0]}: {errors.decode(errors='replace')[-500:]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def put_aside(folder: Path) -> None:
    """Empty *folder* without removing its files.

    ext4 steps over inodes that were freed in the last minutes one by one: after a few hundred of
    them, making a file takes milliseconds, for whoever comes next.
    """
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}-{secrets.token_hex(8)}"))


def prepared(target: Path, size: int) -> None:
    """Empty *target*, and touch as much memory as the file will need, so that all start alike."""
    if size:
        shutil.rmtree(target, ignore_errors=True)
    else:
        put_aside(target)
    target.mkdir(parents=True)
    block = bytes(1 << 20)
    with (target / "warm").open("wb") as file:
        for _ in range(0, size, len(block)):
            file.write(block)
    (target / "warm").unlink()
