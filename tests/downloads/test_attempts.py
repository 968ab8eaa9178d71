"""What a download tells after several tries: what was wrong, and not that time ran out."""

from collections.abc import Callable

import pytest

from towpath.downloads.attempts import Attempts
from towpath.errors import DownloadError, SourceStatusError, SourceUnavailableError
from towpath.net.patience import Patience

URL = "https://files.example/a"
BUSY = SourceStatusError(URL, 503, "Try again later.")
GONE = SourceStatusError(URL, 404, "Check the link.")
REFUSED = SourceUnavailableError(URL, "the connection was refused")
SLOW = SourceUnavailableError(URL, "the server sent less than 65536 bytes in 600 s")


class Spent(Patience):
    """Patience that is over as soon as a try fails for it, however fast the machine is."""

    over = False

    def left(self) -> float:
        return 0.0 if self.over else super().left()


def trying(patience: Spent, *failures: DownloadError) -> Callable[[], str]:
    """Return work that fails so, one after the other, and then is done."""
    left = list(failures)

    def work() -> str:
        if not left:
            return "bytes"
        patience.over = left[0] is SLOW
        raise left.pop(0)

    return work


@pytest.fixture
def patience() -> Spent:
    return Spent(URL, 600)


def test_a_failure_that_may_pass_is_tried_again(patience: Spent) -> None:
    assert Attempts(patience).first(trying(patience, BUSY, REFUSED)) == "bytes"


def test_a_failure_that_stays_is_raised_at_once(patience: Spent) -> None:
    with pytest.raises(SourceStatusError, match="404"):
        Attempts(patience).first(trying(patience, BUSY, GONE))


@pytest.mark.parametrize("failure", [BUSY, REFUSED])
def test_running_out_of_time_does_not_hide_what_was_wrong(
    patience: Spent, failure: DownloadError
) -> None:
    with pytest.raises(DownloadError) as caught:
        Attempts(patience).first(trying(patience, failure, SLOW))
    assert caught.value is failure
    assert caught.value.__cause__ is SLOW


def test_a_server_that_never_said_anything_is_told_as_such(patience: Spent) -> None:
    with pytest.raises(SourceUnavailableError, match="less than 65536 bytes"):
        Attempts(patience).first(trying(patience, SLOW))
