"""Lines that the command prints: in their order, and in few writes."""

import pytest
from tests.support.command import wait_until

from towpath.cli import outlet as outlet_room
from towpath.cli.outlet import Outlet


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    monkeypatch.setattr(outlet_room, "_write", lambda *given: found.append(given))
    return found


def test_lines_that_come_together_are_written_together(written: list[tuple[int, bytes]]) -> None:
    """A write, and a thread that wakes, for each line cost more than the request it tells of."""
    outlet = Outlet()
    for number in range(2000):
        outlet.say(f"{number}")
    outlet.close()
    assert b"".join(lines for _, lines in written) == b"".join(b"%d\n" % n for n in range(2000))
    assert len(written) < 200


def test_lines_of_both_outputs_keep_their_order(written: list[tuple[int, bytes]]) -> None:
    outlet = Outlet()
    for text, where in (("a", "out"), ("b", "out"), ("c", "err"), ("d", "out")):
        outlet.say(text, where)
    outlet.close()
    said = [(number, line) for number, lines in written for line in lines.split()]
    assert said == [(1, b"a"), (1, b"b"), (2, b"c"), (1, b"d")]


def test_what_waits_at_the_end_is_written_at_once(written: list[tuple[int, bytes]]) -> None:
    outlet = Outlet()
    outlet.say("first")
    outlet.say("last")
    outlet.close()
    assert b"".join(lines for _, lines in written) == b"first\nlast\n"


def test_much_that_waits_is_written_without_a_rest(
    written: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app may print more in a moment than one piece; lines would be dropped meanwhile."""
    monkeypatch.setattr(outlet_room, "_REST_SECONDS", 3600.0)
    outlet, line = Outlet(), "x" * 70_000
    for _ in range(40):
        outlet.say(line)
    wait_until(lambda: len(written) >= 39, 20)
    outlet.close()
    assert sum(len(lines) for _, lines in written) == 40 * 70_001
