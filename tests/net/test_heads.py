"""Heads of answers, read strictly."""

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import BadResponseError
from towpath.net.heads import content_range, parse_head, retry_after

URL = "https://x.test/a"


def head(text: str):
    return parse_head(URL, text.encode("latin-1"))


def test_names_have_no_case_and_repeated_fields_are_joined() -> None:
    got = head('HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:2\r\nETag: "v"\r\n\r\n')
    assert got.status == 200
    assert got.fields["x-A"] == "1, 2"
    assert got.fields.each("X-A") == ["1", "2"]
    assert got.fields.get("etag") == '"v"'
    assert got.fields.get("absent") is None


def test_a_folded_line_continues_the_one_before() -> None:
    assert head("HTTP/1.1 200 OK\r\nA: one\r\n  two\r\n\r\n").fields["a"] == "one two"


@pytest.mark.parametrize(
    "text",
    [
        "SSH-2.0-x\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 101 + "\r\n",
        "\r\n\r\n",
    ],
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(BadResponseError):
        head(text)


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("HTTP/1.1 200 OK\r\n\r\n", True),
        ("HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n", False),
        ("HTTP/1.0 200 OK\r\n\r\n", False),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_whether_the_connection_can_be_used_again(text: str, keeps: bool) -> None:
    assert head(text).keeps is keeps


tokens = st.text("abcXYZ-019_", min_size=1, max_size=8)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(st.lists(st.tuples(tokens, values), max_size=20), st.integers(200, 599))
def test_good_heads_are_read_as_the_standard_library_reads_them(pairs, status: int) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    got = head(f"HTTP/1.1 {status} X\r\n{lines}\r\n")
    theirs = http.client.parse_headers(io.BytesIO(f"{lines}\r\n".encode()))
    assert got.status == status
    for name, _ in pairs:
        assert got.fields.each(name) == [value.strip() for value in theirs.get_all(name)]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_an_error(data: bytes) -> None:
    said = ""
    try:
        parse_head(URL, data)
    except BadResponseError as error:
        said = str(error)
    assert len(said) < 500


@pytest.mark.parametrize(
    "value", ["bytes 0-9", "bytes 9-0/10", "bytes 0-10/10", "bytes */10", "", "items 0-1/2"]
)
def test_a_content_range_that_makes_no_sense_is_refused(value: str) -> None:
    with pytest.raises(BadResponseError):
        content_range(URL, head(f"HTTP/1.1 206 P\r\nContent-Range: {value}\r\n\r\n").fields)


def test_a_content_range_is_read() -> None:
    fields = head("HTTP/1.1 206 P\r\nContent-Range: bytes 5-9/10\r\n\r\n").fields
    assert content_range(URL, fields) == (5, 10, 10)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("Thu, 01 Jan 1970 00:00:20 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=10.0) == seconds
