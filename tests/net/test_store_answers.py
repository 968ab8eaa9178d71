"""Which answers of an object store are the part that was asked for."""

import pytest

from towpath.errors import ObjectNotFoundError, StoreUnusableError
from towpath.net.store_reader import _check


@pytest.mark.parametrize(
    ("status", "size", "start", "stop"),
    [(206, 10, 0, 10), (206, 9, 1, 10), (200, 10, 0, 10), (206, 0, 3, 3)],
)
def test_a_part_of_the_right_length_is_taken(status, size, start, stop) -> None:
    _check(status, size, start, stop)


@pytest.mark.parametrize(
    ("status", "size", "start", "stop"),
    [
        (200, 9, 1, 10),  # the whole, when a part was asked for
        (206, 11, 0, 10),
        (206, 9, 0, 10),
        (206, None, 0, 10),
        (200, None, 0, 10),
        (204, 10, 0, 10),
        (304, 10, 0, 10),
        (403, 10, 0, 10),
        (500, 10, 0, 10),
    ],
)
def test_everything_else_is_unusable_with_its_numbers(status, size, start, stop) -> None:
    with pytest.raises(StoreUnusableError, match=f"status {status} with {size} bytes"):
        _check(status, size, start, stop)


def test_a_404_is_a_file_that_is_not_there() -> None:
    with pytest.raises(ObjectNotFoundError):
        _check(404, 10, 0, 10)
