"""How deep a body may nest, and what else is no JSON: each limit crossed by one."""

import asyncio
import json
import math
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from towpath import settings as settings_room
from towpath.runner.bodies import NO_BODY, read_body


def value_of(body: bytes, kind: str = "application/json") -> Any:
    """Read a body as an endpoint gets it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "query_string": b""}

    async def read() -> Any:
        return await (await read_body(Request(scope, receive), None, empty=NO_BODY)).json()

    return asyncio.run(read())


def reason(body: bytes) -> str:
    with pytest.raises(RequestValidationError) as caught:
        value_of(body)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("limit", [1, 2, 64])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_body_nests_as_deep_as_the_limit_and_no_deeper(
    limit: int, opening: bytes, closing: bytes
) -> None:
    with settings_room.using(settings_room.load(max_json_depth=limit)):
        value_of(opening * limit + b"1" + closing * limit)
        deeper = limit + 1
        told = reason(opening * deeper + b"1" + closing * deeper)
    assert f"nests deeper than {limit} levels" in told


def test_what_lies_side_by_side_is_not_deep() -> None:
    with settings_room.using(settings_room.load(max_json_depth=2)):
        assert value_of(b"[[1], [2], {}, []]") == [[1], [2], {}, []]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * 100_000, "nests too deep"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e999]", "number 1e999 is too large"),
        (b'{"a": "\xff"}', "the body is not UTF-8"),
        (b'{"a": 1,}', "JSON decode error"),
        (b"[%s]" % (b"1" * 5000), "JSON decode error: an integer has more than 4300 digits"),
        (b"-" + b"1" * 4301, "JSON decode error: an integer has more than 4300 digits"),
        (b'{"word":"\\ud800"}', "escape \\ud800 is half of a surrogate pair"),
        (b'{"\\uDC00":1}', "escape \\uDC00 is half of a surrogate pair"),
        (b'["\\ud83d\\ude00\\ud83d"]', "escape \\ud83d is half of a surrogate pair"),
        (b'["\\ud83d\\u0041"]', "escape \\ud83d is half of a surrogate pair"),
        (b'["\\ude00\\ud83d"]', "escape \\ude00 is half of a surrogate pair"),
        (b'["\\\\\\ud800"]', "escape \\ud800 is half of a surrogate pair"),
    ],
)
def test_what_is_no_json_says_why(body: bytes, told: str) -> None:
    assert told in reason(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf["\\ud83d\\ude00"]', ["\N{GRINNING FACE}"]),
        (b'\xef\xbb\xbf["\\\\ud800"]', ["\\ud800"]),
        (b'\xef\xbb\xbf["\\\\\\ud83d\\uDE00"]', ["\\\N{GRINNING FACE}"]),
        (b"-" + b"1" * 4300, -int("1" * 4300)),
    ],
    ids=["pair", "backslash and letters", "backslash and pair", "digits"],
)
def test_whole_pairs_and_the_longest_integer_are_taken(body: bytes, value: Any) -> None:
    """With a byte order mark, bodies are left to Python's decoder."""
    assert value_of(body) == value


def strict(body: bytes) -> Any:
    """Decode as Python's `json` does, which is trusted; refuse infinity and half characters."""

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        json.dumps(pairs, ensure_ascii=False).encode()
        return dict(pairs)

    def refuse(word: str) -> None:
        raise ValueError(word)

    def finite(text: str) -> float:
        number = float(text)
        return number if math.isfinite(number) else refuse(text)

    hooks = {"parse_constant": refuse, "parse_float": finite, "object_pairs_hook": whole}
    value = json.loads(body.decode("utf-8"), **hooks)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same, of the same types, in the same order."""
    return repr(one) == repr(other)


NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["-0", "-0.0", "1" * 4300, "1" * 4301, "9007199254740993", "NaN", "01", "1."]),
)
WORDS = st.one_of(
    st.text().map(json.dumps),
    st.text().map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(['"\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\t"', '"\\u0000"', '"a']),
)
TEXTS = st.recursive(
    st.one_of(NUMBERS, WORDS, st.sampled_from(["true", "null", "nul", " [ ] ", "{}"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(st.tuples(WORDS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"
        ),
    ),
    max_leaves=10,
)


@given(st.one_of(TEXTS.map(str.encode), TEXTS.map(lambda text: text.encode()[:-1]), st.binary()))
@example(b'{"b": 1, "a": 2, "b": 3}')
@example(b'{"a": [1, 1e999]}')
@example(b'"\xed\xa0\x80"')
@example(b'{"a": "\\ud800", "a": 1}')
def test_a_body_is_what_python_makes_of_it(body: bytes) -> None:
    if not body.strip():
        return
    try:
        expected = strict(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        with pytest.raises(RequestValidationError):
            value_of(body)
    else:
        assert same(value_of(body), expected)


def test_a_field_of_a_form_that_is_no_strict_json_is_a_text() -> None:
    """Half of a surrogate pair in a form came to the app as one, and failed its answer."""
    head = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    kind = "multipart/form-data; boundary=b"
    assert value_of(head + b'["\\ud800"]\r\n--b--\r\n', kind) == {"a": '["\\ud800"]'}
    assert value_of(head + b'["\\u0041"]\r\n--b--\r\n', kind) == {"a": ["A"]}


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_none(body: bytes) -> None:
    assert value_of(body) is NO_BODY


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    """PowerShell writes one in front of a file that `curl -d @file` sends; FastAPI takes it too."""
    assert value_of(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert "Expecting value" in reason(b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}')
