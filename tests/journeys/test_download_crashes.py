"""kill -9 at random moments of downloads: nothing partial, nothing stuck, nothing left behind."""

import hashlib
import random
import signal
import time
from pathlib import Path

import pytest
from tests.support.downloads import everything_in, start

from towpath.testing.origins import Exchange, Origin, origin_of
from towpath.toolkit import download_file, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")
SIZE = 20 * 2**20
DATA = hashlib.shake_256(b"crash").digest(SIZE)
KINDS = ("single", "parallel", "resumed", "weights")


def paced(pause: float, **fields: str):
    def behave(exchange: Exchange) -> None:
        exchange.serve(DATA, pause=pause, **fields)

    return behave


def round_of(kind: str, origin: Origin, data_dir: Path, number: int) -> bool:
    """Kill one download at a random moment, look, and download again; return whether it died."""
    path = f"/{kind}/{number}.bin"
    fields = {"Accept_Ranges": "none"} if kind == "single" else {}
    pause = {"single": 0.002, "parallel": 0.01, "resumed": 0.06, "weights": 0.02}[kind]
    origin.behaviours[path] = paced(pause, **fields)
    weights = kind == "weights"
    folder = data_dir / (".towpath/model_weights" if weights else "in")
    longest = 4.0 if kind == "resumed" else 1.6
    process = start(origin.url(path), data_dir, weights=weights)
    time.sleep(0.3 + random.random() * longest)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for file in folder.rglob(f"{number}.bin"):
        assert file.read_bytes() == DATA, "a partial file has the final name"
    origin.behaviours[path] = paced(0.0, **fields)
    url = origin.url(path)
    got = download_model_weights(url) if weights else download_file(url, "in")
    assert got.read_bytes() == DATA
    got.unlink()
    return process.returncode == -signal.SIGKILL


def crash(data_dir: Path, rounds: int) -> None:
    with origin_of({}) as origin:
        died = sum(
            round_of(KINDS[number % len(KINDS)], origin, data_dir, number)
            for number in range(rounds)
        )
        origin.behaviours["/last"] = lambda exchange: exchange.answer(b"x")
        download_file(origin.url("/last"), "in").unlink()
    assert died > rounds / 3, "most of them were killed at work"
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
