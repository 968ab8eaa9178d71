"""kill -9 at random moments of downloads: nothing partial, nothing stuck, nothing left behind."""

import hashlib
import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.downloads import everything_in, start

from towpath.testing.origins import Exchange, Origin, origin_of
from towpath.toolkit import download_file, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")
SIZE = 20 * 2**20
DATA = hashlib.shake_256(b"crash").digest(SIZE)
PAUSES = {"single": 0.002, "parallel": 0.01, "resumed": 0.005, "weights": 0.01}
KINDS = tuple(PAUSES)
PATIENCE = 60.0


@dataclass
class Source:
    """Serves the file; says when *moment* bytes of it went out, and may send no more till let go.

    The moment is one of bytes, not of time: it is the same on a slow machine and on a fast one.
    """

    kind: str
    moment: int
    out: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    is_open: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> None:
        fields = {"Accept_Ranges": "none"} if self.kind == "single" else {}
        pause = 0.0 if self.is_open.is_set() else PAUSES[self.kind]
        exchange.serve(DATA, pause=pause, sent=self.note, **fields)

    def note(self, size: int) -> None:
        with self.lock:
            self.out += size
        if self.out >= self.moment:
            self.reached.set()
            if self.kind == "resumed":
                self.is_open.wait(PATIENCE)


def moment_of(number: int) -> int:
    """Return when to kill: anywhere, and each fifth time when all has come and is published."""
    return SIZE if number % 5 == 4 else random.randrange(SIZE)


def has_journal(data_dir: Path) -> bool:
    return any(name.endswith(".journal") for name in everything_in(data_dir))


def kill_one(source: Source, url: str, data_dir: Path) -> bool:
    """Kill a download when its moment has come; return whether it died of that."""
    process = start(url, data_dir, weights=source.kind == "weights")
    assert source.reached.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while source.kind == "resumed" and not has_journal(data_dir):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if source.moment == SIZE:
        time.sleep(random.random() * 0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    source.is_open.set()
    return process.returncode == -signal.SIGKILL


def round_of(kind: str, origin: Origin, data_dir: Path, number: int) -> bool:
    """Kill one download at a random moment, look, and download again; return whether it died."""
    path = f"/{kind}/{number}.bin"
    moment = random.randrange(SIZE // 4, SIZE) if kind == "resumed" else moment_of(number)
    source = origin.behaviours[path] = Source(kind, moment)
    url, weights = origin.url(path), kind == "weights"
    died = kill_one(source, url, data_dir)
    folder = data_dir / (".towpath/model_weights" if weights else "in")
    for file in folder.rglob(f"{number}.bin"):
        assert file.read_bytes() == DATA, "a partial file has the final name"
    again = origin.behaviours[path] = Source(kind, 0)  # what still goes to the dead counts there
    again.is_open.set()
    got = download_model_weights(url) if weights else download_file(url, "in")
    assert got.read_bytes() == DATA
    assert kind != "resumed" or again.out < SIZE, "what was there is not brought again"
    got.unlink()
    return died


def crash(data_dir: Path, rounds: int) -> None:
    with origin_of({}) as origin:
        died = sum(
            round_of(KINDS[number % len(KINDS)], origin, data_dir, number)
            for number in range(rounds)
        )
        origin.behaviours["/last"] = lambda exchange: exchange.answer(b"x")
        download_file(origin.url("/last"), "in").unlink()
    assert died > rounds / 2, "most of them were killed at work"
    left = [
        name for name in everything_in(data_dir) if name.endswith((".part", ".journal", ".bin"))
    ]
    assert left == []


def test_a_few_kills(data_dir: Path) -> None:
    crash(data_dir, 8)


@pytest.mark.crash
@pytest.mark.timeout(1800)
def test_two_hundred_kills(data_dir: Path) -> None:
    crash(data_dir, 200)
