"""This tree beside an older commit: did a change make the main paths slower?

The naive way runs the benchmark today and compares with figures of last week; a shared machine is
a fifth faster or slower from one hour to the next, and from one half minute to the next. So in each
round the servers of the old code and of the new one run side by side, and take turns at each
measure, after the disk has written what the round's files are. The old code runs a second time as
if it were a candidate: how far two runs of the same code lie apart (A/A) is what a difference has
to exceed before it means anything. Servers are new in each round, because one process may be
faster than another for as long as it lives (addresses of its memory, seeds of its hashes).

make paired BASE=<commit>      needs wrk and the history of the repository
"""

import argparse
import http.client
import io
import json
import os
import secrets
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from serving import (
    CALL_SCRIPT,
    ECHO_APP,
    INPUT,
    Peer,
    free_port,
    latency,
    running,
    wrk,
)

__all__ = ["main"]

_MIB = 2**20
_LARGE = 200 * _MIB
_ALLOWED = 0.03  # of the older commit's time
_ROOT = Path(__file__).parent.parent
_SAVES = """
import os, sys, time
from towpath.toolkit import File, Image
from PIL import Image as Pictures
data, began = os.urandom(100_000), time.perf_counter()
for _ in range(150): File.from_bytes(data, "application/octet-stream")
print(time.perf_counter() - began)
picture = Pictures.effect_mandelbrot((768, 768), (-2, -1.5, 1, 1.5), 60).convert("RGB")
began = time.perf_counter()
for _ in range(40): Image.from_pil(picture)
print(time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that runs, and where its call and its two files are."""

    port: int
    folder: Path
    small: str
    large: str


def main() -> None:
    """Measure and print; exit 1 when this tree is slower than allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the older commit")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="towpath-paired-") as name:
        old = _checked_out(arguments.base, Path(name))
        trees = {"A": old, "A again": old, "B": _ROOT / "src"}
        found = _rounds(trees, arguments.rounds)
    is_slower = _told(found, arguments.base)
    sys.exit(1 if is_slower else 0)


def _checked_out(commit: str, folder: Path) -> Path:
    """Write the sources of *commit* into *folder*, with the page that is built here."""
    packed = subprocess.run(
        ["git", "archive", commit, "src"], cwd=_ROOT, capture_output=True, check=False
    )
    if packed.returncode:
        sys.exit(f"There is no commit {commit} here: fetch the history (git fetch --unshallow).")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(folder, filter="data")
    built = _ROOT / "src/towpath/playground/static"
    if built.exists():
        (folder / "src/towpath/playground/static").symlink_to(built)
    return folder / "src"


Found = dict[str, dict[str, list[float]]]
"""Seconds of each measure of each tree, one of each round."""


def _rounds(trees: Mapping[str, Path], rounds: int) -> Found:
    """Measure each tree once a round, each measure in another order."""
    found: Found = {}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for measure, name, seconds in _round(trees):
            found.setdefault(measure, {}).setdefault(name, []).append(seconds)
    return found


def _round(trees: Mapping[str, Path]) -> Iterator[tuple[str, str, float]]:
    """Yield measure, tree and seconds, one after the other."""
    with ExitStack() as stack:
        servers: dict[str, _Server] = {}
        for name in _shuffled(trees):
            start, servers[name] = stack.enter_context(_served(trees[name]))
            yield "start to first answer", name, start
        os.sync()
        for measure, measured in _MEASURES.items():
            for name in _shuffled(trees):
                yield measure, name, measured(servers[name])
    for name in _shuffled(trees):
        for measure, seconds in _saved(trees[name]).items():
            yield measure, name, seconds


def _shuffled(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda _: secrets.randbits(32))


@contextmanager
def _served(tree: Path) -> Iterator[tuple[float, _Server]]:
    """Run a server of one tree, with two files; yield how long it took to answer, too."""
    os.environ["PYTHONPATH"] = str(tree)
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        folder, port = Path(name), free_port()
        (folder / "echo_app.py").write_text(ECHO_APP)
        (folder / "call.lua").write_text(CALL_SCRIPT.replace("{body}", json.dumps(INPUT)))
        words = ("-m", "towpath", "run", "echo_app.py", "--port", "{port}", "--data-dir", "data")
        peer = Peer(
            "", "", (sys.executable, *words), "/local/echo", env={"TOWPATH_LOG_LEVEL": "error"}
        )
        with running(peer, folder, {"port": port, "spare": 0}) as (_, start):
            small, large = _uploaded(port, _MIB), _uploaded(port, _LARGE)
            yield start, _Server(port, folder, small, large)


def _uploaded(port: int, size: int) -> str:
    """Upload *size* bytes; return the path of their URL."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/files/upload", os.urandom(size))
    url = str(json.loads(connection.getresponse().read())["access_url"])
    connection.close()
    return "/" + url.split("/", 3)[3]


def _calls(server: _Server, connections: int) -> float:
    """Return the seconds of one call at full rate."""
    url = f"http://127.0.0.1:{server.port}/local/echo"
    wrk(url, server.folder, connections, 1)
    return _seconds_of(wrk(url, server.folder, connections, 3))


def _files(server: _Server) -> float:
    (server.folder / "call.lua").rename(server.folder / "kept.lua")
    (server.folder / "call.lua").write_text("")
    try:
        return _seconds_of(
            wrk(f"http://127.0.0.1:{server.port}{server.small}", server.folder, 8, 2)
        )
    finally:
        (server.folder / "kept.lua").replace(server.folder / "call.lua")


def _seconds_of(text: str) -> float:
    """Return the seconds of a request in what wrk printed."""
    if "Non-2xx" in text:
        raise RuntimeError(text)
    latency(text, "50")
    line = next(line for line in text.splitlines() if line.startswith("Requests/sec:"))
    return 1 / float(line.split()[1])


def _stream(server: _Server) -> float:
    """Read the large file over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    began = time.perf_counter()
    connection.request("GET", server.large)
    answer, buffer, got = connection.getresponse(), bytearray(_MIB), 0
    while count := answer.readinto(buffer):
        got += count
    if got != _LARGE:
        message = f"{got} bytes of {_LARGE}"
        raise RuntimeError(message)
    return time.perf_counter() - began


def _uploads(server: _Server) -> float:
    """Upload 1 MiB a hundred times."""
    connection, data = http.client.HTTPConnection("127.0.0.1", server.port), os.urandom(_MIB)
    began = time.perf_counter()
    for _ in range(100):
        connection.request("POST", "/files/upload", data)
        connection.getresponse().read()
    return time.perf_counter() - began


def _bodies(server: _Server) -> float:
    """Call with a body of 8 MiB ten times."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps({"prompt": "a" * 8 * _MIB, "steps": 0})
    began = time.perf_counter()
    for _ in range(10):
        connection.request("POST", "/local/echo", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:  # noqa: PLR2004
            raise RuntimeError(answer.read())
        answer.read()
    return time.perf_counter() - began


def _queued(server: _Server) -> float:
    """Submit 200 requests, and wait until the last one is answered."""
    connection, body = http.client.HTTPConnection("127.0.0.1", server.port), json.dumps(INPUT)
    began, url = time.perf_counter(), ""
    for _ in range(200):
        connection.request("POST", "/queue/local/echo", body, {"content-type": "application/json"})
        url = str(json.loads(connection.getresponse().read())["response_url"])
    while True:
        connection.request("GET", "/" + url.split("/", 3)[3])
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:  # noqa: PLR2004
            return time.perf_counter() - began
        time.sleep(0.005)


_MEASURES: Mapping[str, Callable[[_Server], float]] = {
    "call, 1 connection": lambda server: _calls(server, 1),
    "call, 16 connections": lambda server: _calls(server, 16),
    "call with 8 MiB": _bodies,
    "200 queued requests": _queued,
    "file of 1 MiB, 8 connections": _files,
    "file of 200 MiB": _stream,
    "upload of 1 MiB": _uploads,
}


def _saved(tree: Path) -> dict[str, float]:
    """Save from a script, bytes and pictures."""
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        env = {**os.environ, "PYTHONPATH": str(tree), "TOWPATH_STORE": Path(folder).as_uri()}
        env |= {"TOWPATH_PUBLIC_URL": "http://127.0.0.1:1", "TOWPATH_DATA_DIR": f"{folder}/data"}
        words = [sys.executable, "-c", _SAVES]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    of_bytes, of_pictures = map(float, done.stdout.split())
    return {"save of 100 KB": of_bytes, "save of a picture": of_pictures}


def _told(found: Mapping[str, Mapping[str, list[float]]], base: str) -> bool:
    """Print ratios of pairs; return whether one is beyond what is allowed."""
    print(f"this tree / {base}, medians of pairs; beyond 3 % and the spread of A/A counts")
    print(f"  {'':32}{'ratio':>8}{'A/A spread':>12}")
    is_slower = False
    for measure, seconds in found.items():
        ratio = _middle(seconds["B"], seconds["A"])
        spread = _spread(seconds["A again"], seconds["A"])
        is_over = ratio > 1 + _ALLOWED + spread
        is_slower |= is_over
        print(f"  {measure:32}{ratio:8.3f}{spread:12.3f}{'  SLOWER' if is_over else ''}")
    return is_slower


def _middle(ours: list[float], base: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, base, strict=True))


def _spread(again: list[float], base: list[float]) -> float:
    """Return the half of the middle half of A/A's ratios, and how far its middle is from 1."""
    ratios = sorted(mine / other for mine, other in zip(again, base, strict=True))
    quarter = max(0, len(ratios) // 4)
    half = (ratios[-1 - quarter] - ratios[quarter]) / 2
    return max(half, abs(statistics.median(ratios) - 1))


if __name__ == "__main__":
    main()
