"""What a taken request survives: a power cut, a clock that jumps, a long line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.queue.conftest import Clock

from towpath import clock as clock_room
from towpath.queue.leases import Watch
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest, Outcome

SUBMIT = """
import os, sys
from towpath.clock import steady_clock
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest
queue = open_queue(f"sqlite:///{sys.argv[1]}", steady_clock(), max_length=10)
queue.submit(NewRequest("first", "local/a"))
os.write(1, b"BEGIN")
queue.submit(NewRequest("second", "local/a", body=b"x" * 5000))
os.write(1, b"SAVED")
"""


@pytest.mark.engines
def test_what_was_written_is_synced_before_a_submit_returns(tmp_path: Path) -> None:
    """By the order of system calls: the last write to the log of SQLite, then its sync."""
    trace = tmp_path / "trace"
    calls = "trace=openat,write,pwrite64,pwritev,fsync,fdatasync"
    words = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", SUBMIT]
    subprocess.run([*words, str(tmp_path / "queue.db")], check=True, stdout=subprocess.DEVNULL)
    text = trace.read_text()
    during = text[text.index('"BEGIN"') : text.index('"SAVED"')]
    names = re.findall(r"(pwrite64|pwritev|fdatasync|fsync)\(\d+<[^>]*queue\.db-wal>", during)
    assert "pwrite64" in names
    assert names[-1] in {"fdatasync", "fsync"}


def test_a_steady_clock_does_not_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [1000.0]
    monkeypatch.setattr(clock_room.time, "time", lambda: wall[0])
    steady = clock_room.steady_clock()
    first = steady()
    for jump in (3600, -7200):
        wall[0] += jump
        assert 0 <= steady() - first < 60


def test_a_clock_that_jumps_between_two_servers_takes_no_leases_away() -> None:
    """Counts are compared, never moments of two machines; the watcher's own is enough."""
    watch = Watch(30)
    beats = {"a": 0}
    for moment in range(0, 120, 5):
        beats["a"] += 1
        assert watch.gone([("a", 1, beats["a"])], now=moment + (3600 if moment > 50 else 0)) == []


@pytest.mark.slow
def test_ten_thousand_wait_in_their_order(tmp_path: Path) -> None:
    queue = open_queue(f"sqlite:///{tmp_path / 'q.db'}", Clock(), max_length=10**6)
    names = [f"{number:05}" for number in range(10_000)]
    for name in names:
        queue.submit(NewRequest(name, "local/a", low_priority=name[-1] in "37"))
    order = sorted(names, key=lambda name: (name[-1] in "37", name))
    for place in [*range(0, 10_000, 61), 9_999]:
        assert queue.read(order[place]).position == place
    for expected in order[:3000]:
        claim = queue.claim(["local/a"], worker="w", now=1.0)
        assert claim is not None
        assert claim.request_id == expected
        queue.finish(claim, Outcome("ok"))
    for place in range(0, 7_000, 97):
        assert queue.read(order[3000 + place]).position == place
    queue.close()
