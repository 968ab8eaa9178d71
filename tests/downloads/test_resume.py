"""A download that broke off is gone on with; nothing half ever has the final name."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.support.downloads import everything_in, signed, start

from towpath.errors import SourceStatusError, SourceUnavailableError
from towpath.testing import Origin
from towpath.testing.misbehaviours import LARGE
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_file, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")


def slow(exchange: Exchange) -> None:
    exchange.serve(LARGE, pause=0.1)


def fast(exchange: Exchange) -> None:
    exchange.serve(LARGE)


@pytest.fixture
def server():
    with origin_of({"/f": slow}) as origin:
        yield origin


def journal_of(data_dir: Path) -> Path:
    """Wait for the journal of the only download."""
    for _ in range(500):
        if found := list((data_dir / ".towpath" / "downloads").glob("?/*.journal")):
            return found[0]
        time.sleep(0.02)
    raise TimeoutError


def bytes_sent(origin: Origin, since: int) -> int:
    """Return how many bytes were asked for after the first *since* requests."""
    total = 0
    for seen in origin.seen[since:]:
        first, _, last = seen.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        total += (int(last) + 1 if last else len(LARGE)) - int(first)
    return total


def killed(origin: Origin, data_dir: Path, **kind: bool) -> int:
    """Kill a download once it has a journal; return how many bytes the journal says are here."""
    process = start(origin.url("/f"), data_dir, **kind)
    try:
        journal = journal_of(data_dir)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return sum(b - a for a, b in json.loads(journal.read_text())["done"])


@pytest.mark.parametrize("weights", [False, True])
def test_after_a_kill_only_the_rest_is_fetched(
    server: Origin, data_dir: Path, weights: bool
) -> None:
    here = killed(server, data_dir, weights=weights)
    before = len(server.seen)
    server.behaviours["/f"] = fast
    url = server.url("/f")
    path = download_model_weights(url) if weights else download_file(url, "in", connections=1)
    assert path.read_bytes() == LARGE
    assert here > 1_000_000
    assert server.seen[before].headers["if-range"] == '"v1"'
    if not weights:
        assert bytes_sent(server, before) <= len(LARGE) - here + 300_000
    assert everything_in(path.parent) == [path.name]
    assert list((data_dir / ".towpath" / "downloads").glob("?/*.journal")) == []


def test_another_version_is_never_mixed_with_what_is_here(server: Origin, data_dir: Path) -> None:
    killed(server, data_dir)
    other = LARGE[::-1]
    server.behaviours["/f"] = lambda exchange: (
        exchange.serve(other, ETag='"v2"', If_Range="ignored")
        if exchange.seen.headers.pop("range", None) is None
        else exchange.serve(other, ETag='"v2"')
    )
    path = download_file(server.url("/f"), "in")
    assert path.read_bytes() == other
    assert everything_in(path.parent) == ["f"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda journal: journal.write_text("{"),
        lambda journal: journal.write_text(
            '{"v": 1, "part": "/etc/passwd", "size": 9, "etag": "\\"v1\\"", "done": [[0, 9]]}'
        ),
        lambda journal: journal.unlink(),
    ],
    ids=["broken", "of another file", "gone"],
)
def test_without_a_good_journal_it_begins_anew(server: Origin, data_dir: Path, damage) -> None:
    killed(server, data_dir)
    damage(journal_of(data_dir))
    server.behaviours["/f"] = fast
    path = download_file(server.url("/f"), "in")
    assert path.read_bytes() == LARGE
    assert everything_in(path.parent) == ["f"]


def test_a_part_that_was_cut_is_not_gone_on_with(server: Origin, data_dir: Path) -> None:
    killed(server, data_dir)
    part = next((data_dir / "in").glob(".*.part"))
    with part.open("r+b") as file:
        file.truncate(1000)
    server.behaviours["/f"] = fast
    assert download_file(server.url("/f"), "in").read_bytes() == LARGE


def test_what_another_url_left_is_kept_for_a_day(server: Origin, data_dir: Path) -> None:
    killed(server, data_dir)
    server.behaviours["/other"] = lambda exchange: exchange.answer(b"x")
    download_file(server.url("/other"), "in")
    assert len(list((data_dir / "in").glob(".*.part"))) == 1
    server.behaviours["/f"] = fast
    download_file(server.url("/f"), "in")
    assert everything_in(data_dir / "in") == ["f", "other"]


def test_an_error_leaves_nothing_of_a_file_and_the_most_of_weights(
    server: Origin, data_dir: Path
) -> None:
    half = len(LARGE) // 2

    def dies(exchange: Exchange) -> None:
        if exchange.number > 1:
            exchange.answer(b"", "403 Forbidden")
        else:
            exchange.serve(LARGE, most=half)

    server.behaviours["/f"] = dies
    with pytest.raises(SourceStatusError):
        download_file(server.url("/f"), "in", patience=2)
    assert everything_in(data_dir / "in") == []
    server.behaviours["/w"] = dies
    with pytest.raises(SourceStatusError, match="expired"):
        download_model_weights(signed(server.url("/w"), 1), patience=2)
    before = len(server.seen)
    server.behaviours["/w"] = fast
    path = download_model_weights(signed(server.url("/w"), 2), connections=1)
    assert path.read_bytes() == LARGE
    assert bytes_sent(server, before) <= len(LARGE) - half + 300_000


def test_an_interrupted_download_is_gone_on_with(server: Origin, data_dir: Path) -> None:
    process = start(server.url("/f"), data_dir)
    try:
        journal_of(data_dir)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    before = len(server.seen)
    server.behaviours["/f"] = fast
    assert download_file(server.url("/f"), "in").read_bytes() == LARGE
    assert "if-range" in server.seen[before].headers


def test_a_dead_host_is_given_up_after_patience(server: Origin) -> None:
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError):
        download_file("http://127.0.0.1:9/x", "in", patience=1.2)
    assert time.monotonic() - began < 8


def test_a_deadline_ends_a_download_that_goes_on(server: Origin, data_dir: Path) -> None:
    server.behaviours["/f"] = lambda exchange: exchange.serve(LARGE, pause=0.1)
    with pytest.raises(SourceUnavailableError, match="deadline of 1 s"):
        download_file(server.url("/f"), "in", deadline=1, connections=1)
    assert everything_in(data_dir / "in") == []


def test_helpers_are_used_and_are_gone_afterwards(server: Origin) -> None:
    server.behaviours["/f"] = lambda exchange: exchange.serve(LARGE, pause=0.01)
    download_file(server.url("/f"), "in")
    assert sum("range" in seen.headers for seen in server.seen) >= 4
    assert all(
        seen.headers["if-range"] == '"v1"' for seen in server.seen if "range" in seen.headers
    )
    time.sleep(0.3)
    assert not [t for t in threading.enumerate() if t.name == "towpath-helper"]
