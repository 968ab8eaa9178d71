"""What is worth trying again, and when."""

import pytest

from towpath.downloads.retries import pause_before
from towpath.errors import (
    BadResponseError,
    BlockedAddressError,
    SourceStatusError,
    SourceUnavailableError,
    TruncatedError,
)

URL = "https://x.test/a"


def status(number: int, after: float | None = None) -> SourceStatusError:
    return SourceStatusError(URL, number, "Try again.", retry_after=after)


@pytest.mark.parametrize(
    "error",
    [
        SourceUnavailableError(URL, "reset"),
        TruncatedError(URL, got=1, expected=2),
        *(status(number) for number in (408, 429, 500, 502, 503, 504)),
    ],
)
def test_what_passes_is_tried_again(error) -> None:
    assert pause_before(error, 1, left=15, chance=1.0) == 0.5


@pytest.mark.parametrize(
    "error",
    [
        BadResponseError(URL, "no HTTP"),
        BlockedAddressError(URL, "private"),
        SourceUnavailableError(URL, "certificate", lasting=True),
        *(status(number) for number in (400, 401, 403, 404, 410, 501)),
    ],
)
def test_what_stays_is_not(error) -> None:
    assert pause_before(error, 1, left=15, chance=1.0) is None


def test_pauses_double_up_to_half_a_minute_and_are_spread() -> None:
    error = SourceUnavailableError(URL, "reset")
    pauses = [pause_before(error, n, left=999, chance=1.0) for n in range(1, 9)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert pause_before(error, 3, left=999, chance=0.0) == 1


@pytest.mark.parametrize(
    ("after", "pause"), [(0, 0), (3, 3), (14.9, 14.9), (15, None), (9e9, None)]
)
def test_the_server_is_obeyed_as_far_as_patience_goes(after: float, pause: float | None) -> None:
    assert pause_before(status(503, after), 1, left=15, chance=0.5) == pause


def test_a_pause_that_is_longer_than_patience_is_none() -> None:
    assert pause_before(SourceUnavailableError(URL, "x"), 5, left=3, chance=1.0) is None
    assert "asks to wait 3600 s" in str(status(503, 3600))
