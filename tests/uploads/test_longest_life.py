"""The longest and the shortest life that a file can be given, to the second."""

import pytest

from towpath.uploads.lifetimes import seconds_of

CENTURY = 100 * 365 * 86_400


@pytest.mark.parametrize("seconds", [1, CENTURY])
def test_a_life_within_the_bounds_is_taken(seconds: int) -> None:
    assert seconds_of(seconds) == seconds


@pytest.mark.parametrize("seconds", [-1, 0, CENTURY + 1])
def test_a_life_beyond_the_bounds_by_one_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="100 years"):
        seconds_of(seconds)
