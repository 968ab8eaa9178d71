"""How long a download is gone on with, by a clock that the test moves."""

import pytest

from towpath.errors import SourceUnavailableError
from towpath.net import patience as patience_room
from towpath.net.patience import Patience

URL = "http://a.test/a.bin"


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(patience_room, "time", own)
    return own


def test_patience_ends_at_its_last_second(clock: Clock) -> None:
    patience = Patience(URL, 15)
    clock.now += 14.5
    assert patience.remaining() == patience.left() == 0.5
    clock.now += 0.5
    assert patience.left() == 0
    with pytest.raises(SourceUnavailableError, match="15 s"):
        patience.remaining()


def test_the_deadline_ends_it_however_much_comes(clock: Clock) -> None:
    patience = Patience(URL, 15, deadline=20)
    clock.now += 10
    patience.note(2**20)
    assert patience.left() == 10, "the deadline is nearer than the patience"
    clock.now += 9.75
    assert patience.remaining() == 0.25
    clock.now += 0.25
    with pytest.raises(SourceUnavailableError, match="deadline of 20 s"):
        patience.remaining()


def test_a_deadline_further_away_than_patience_does_not_lengthen_it(clock: Clock) -> None:
    patience = Patience(URL, 15, deadline=100)
    assert patience.left() == 15
    clock.now += 15
    with pytest.raises(SourceUnavailableError, match="15 s"):
        patience.remaining()


def test_only_64_kib_reset_it_and_they_may_come_in_pieces(clock: Clock) -> None:
    patience = Patience(URL, 15)
    clock.now += 10
    patience.note(64 * 1024 - 1)
    assert patience.left() == 5
    patience.note(1)
    assert patience.left() == 15
    clock.now += 10
    patience.note(64 * 1024 - 1)
    assert patience.left() == 5, "what was counted before does not count again"


def test_ticks_reach_who_asked_for_them() -> None:
    patience, ticks = Patience(URL, 15), []
    patience.tick()
    patience.on_tick = lambda: ticks.append(1)
    patience.tick()
    assert ticks == [1]
