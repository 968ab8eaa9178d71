"""Requests that kill their runners, among others: the others are answered, the poison ends."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.support.command import write

from towpath.testing import Server, serve

CODE = """
    import ctypes, os, time
    from pathlib import Path
    import towpath
    class Fragile(
        towpath.App, min_concurrency=2, max_concurrency=2, request_timeout=1,
        termination_grace_period_seconds=1,
    ):
        @towpath.endpoint("/")
        def run(self, name: str, poison: str = "") -> str:
            with Path(os.environ["TOWPATH_DATA_DIR"], "tries").open("a") as tries:
                tries.write(name + "\\n")
            if poison == "exit":
                os._exit(3)
            if poison == "memory":
                return str(len(bytearray(8 * 2**30)))
            if poison == "segfault":
                ctypes.string_at(0)
            if poison == "hang":
                ctypes.PyDLL(None).sleep(60)
            if poison == "wait":
                ctypes.CDLL(None).sleep(60)
            time.sleep(0.02)
            return name
"""
KINDS = ("exit", "memory", "segfault", "hang", "wait")
REASONS = {"exit": "runner_disconnected", "segfault": "runner_disconnected", "memory": "oom"}
REASONS |= {"hang": "request_timeout", "wait": "request_timeout"}
MOST_DELAY = 3.0


class Requests:
    """Requests that are submitted at an even pace, and when each was done."""

    def __init__(self, url: str, names: list[tuple[str, str]], pace: float) -> None:
        self._url = url
        self._names = names
        self._pace = pace
        self.given: dict[str, dict] = {}
        self.took: dict[str, float] = {}
        self._begun: dict[str, float] = {}
        self._is_over = threading.Event()

    def run(self, seconds: float) -> None:
        """Submit all, and wait until each is done."""
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        with httpx2.Client(timeout=60) as client:
            for name, poison in self._names:
                began = time.monotonic()
                answer = client.post(
                    f"{self._url}/queue/local/fragile", json={"name": name, "poison": poison}
                )
                assert answer.status_code == 200, answer.text
                self._begun[name] = began
                self.given[name] = answer.json()
                time.sleep(max(0.0, began + self._pace - time.monotonic()))
        end = time.monotonic() + seconds
        while len(self.took) < len(self._names) and time.monotonic() < end:
            time.sleep(0.05)
        self._is_over.set()
        watcher.join()
        assert len(self.took) == len(self._names), self._names[0]

    def _watch(self) -> None:
        """Note when requests are done, by a list of them as an operator has it."""
        names = {}
        with httpx2.Client(timeout=60) as client:
            while not self._is_over.wait(0.05):
                names |= {each["request_id"]: name for name, each in tuple(self.given.items())}
                items = client.get(f"{self._url}/admin/requests?status=done&limit=1000").json()
                now = time.monotonic()
                for item in items["items"]:
                    name = names.get(item["request_id"])
                    if name is not None:
                        self.took.setdefault(name, now - self._begun[name])


@contextmanager
def fragile(tmp_path: Path) -> Iterator[Server]:
    app = write(tmp_path, "fragile.py", CODE)
    limits = {"runner_memory_bytes": "2GiB", "store_reserve": 0, "data_dir": tmp_path / "data"}
    with serve(app, **limits) as server:
        yield server


def mixed(good: int, poison: int, seed: int, *, in_a_row: int) -> list[tuple[str, str]]:
    """Return good requests with poison at places that are drawn, some of it in a row."""
    chance = random.Random(seed)
    found = [(f"good{number}", "") for number in range(good)]
    kinds = [KINDS[number % len(KINDS)] for number in range(poison)]
    chance.shuffle(kinds)
    named = [(f"poison{number}", kind) for number, kind in enumerate(kinds)]
    for each in named[in_a_row:]:
        found.insert(chance.randrange(len(found)), each)
    place = chance.randrange(len(found))
    found[place:place] = named[:in_a_row]
    return found


def check(server: Server, requests: Requests, names: list[tuple[str, str]]) -> None:
    """Every good one is answered; poison ends with its reason, after two tries at most."""
    tried = Path(server.running.settings.data_dir, "tries").read_text().split()
    for name, poison in names:
        said = httpx2.get(requests.given[name]["status_url"]).json()
        answer = httpx2.get(requests.given[name]["response_url"])
        if poison:
            assert said["error_type"] == REASONS[poison], (name, poison, said)
            assert answer.status_code in {503, 504}
            assert 1 <= tried.count(name) <= 2, (name, poison)
        else:
            assert answer.json() == name, (name, said)


def play(tmp_path: Path, names: list[tuple[str, str]], *, pace: float, seconds: float) -> None:
    good = [each for each in names if not each[1]]
    (tmp_path / "alone").mkdir()
    with fragile(tmp_path / "alone") as server:
        alone = Requests(server.url, good, pace)
        alone.run(seconds)
    with fragile(tmp_path) as server:
        requests = Requests(server.url, names, pace)
        requests.run(seconds)
        check(server, requests, names)
    delays = {name: requests.took[name] - took for name, took in alone.took.items()}
    slowest = max(delays, key=lambda name: delays[name])
    print(f"longest added delay {delays[slowest]:.2f} s, of {slowest}")
    assert delays[slowest] < MOST_DELAY


def test_a_request_that_kills_its_runner_costs_the_others_nothing(tmp_path: Path) -> None:
    """trust T31, T32: two in a row on two runners, and others behind them."""
    names = [("a", ""), ("p", "exit"), ("q", "segfault"), ("b", ""), ("c", "")]
    with fragile(tmp_path) as server:
        requests = Requests(server.url, names, 0)
        requests.run(60)
        check(server, requests, names)
        apps = httpx2.get(f"{server.url}/admin/status").json()["apps"]
        assert apps["local/fragile"]["failure"] is None
        direct = httpx2.post(f"{server.url}/local/fragile", json={"name": "d"}, timeout=30)
        assert direct.json() == "d"


def test_requests_that_hang_hold_up_nobody_until_their_end_is_told(tmp_path: Path) -> None:
    """trust T32: both runners hang; those behind have others while the killed ones' logs come."""
    names = [("p", "hang"), ("q", "hang"), *((name, "") for name in "abcde")]
    with fragile(tmp_path) as server:
        requests = Requests(server.url, names, 0)
        requests.run(60)
        check(server, requests, names)
    done = {name: at - requests.took["p"] for name, at in requests.took.items()}
    assert max(done[name] for name in "abcde") < 0, done


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_poison_requests_among_two_hundred_delay_nobody_for_long(
    tmp_path: Path, seed: int
) -> None:
    """trust T31, T32: spread by a seed, and four in a row."""
    play(tmp_path, mixed(200, 10, seed, in_a_row=4), pace=0.1, seconds=120)
