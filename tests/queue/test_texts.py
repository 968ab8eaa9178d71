"""What a database can keep and an answer can carry."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.queue.texts import read_json, writable

ANY_TEXT = st.text(st.characters(blacklist_categories=()), max_size=40)


@given(ANY_TEXT)
def test_every_text_becomes_one_that_can_be_written(text: str) -> None:
    """trust T40."""
    kept = writable(text)
    assert kept.encode().decode() == kept
    assert "\0" not in kept
    assert len(kept) == len(text)
    assert writable(kept) == kept


@pytest.mark.parametrize("text", ["", "a", "é", "\U0001f600", "\ufffd", "line\tand\x1b[0m"])
def test_what_can_be_written_stays_as_it_is(text: str) -> None:
    assert writable(text) is text or writable(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ('{"done": 1}', {"done": 1}),
        ('{"message": "\\ud800"}', {"message": "\ufffd"}),
        ('{"\\udfff": ["\\ud83d\\ude00"]}', {"\ufffd": ["\U0001f600"]}),
        ('{"done": NaN}', {"done": None}),
        ('{"done": 1e999}', None),
        ("no JSON", None),
        ("[" * 100_000, None),
        ("9" * 5000, None),
    ],
)
def test_progress_is_read_as_it_can_be_told(text, value) -> None:
    """trust T40: a status with it is 200."""
    assert read_json(text) == value


@given(st.recursive(ANY_TEXT | st.floats() | st.integers(), st.lists))
def test_what_was_read_can_be_answered(value) -> None:
    json.dumps(read_json(json.dumps(value)), ensure_ascii=False, allow_nan=False).encode()
