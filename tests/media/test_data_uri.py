import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import FileTooLargeError, InvalidURLError
from towpath.media.content_types import is_header_safe
from towpath.media.data_uri import parse, write


@pytest.mark.parametrize(
    ("uri", "data", "kind"),
    [
        ("data:,hello%20you", b"hello you", "text/plain;charset=US-ASCII"),
        ("data:text/plain;base64,aGVsbG8=", b"hello", "text/plain"),
        ("DATA:text/plain;BASE64,aGVsbG8=", b"hello", "text/plain"),
        ("data:text/plain;base64,aGVsbG8", b"hello", "text/plain"),
        ("data:text/plain;base64,aGVs\nbG8=", b"hello", "text/plain"),
        ("data:text/plain;base64,aGVsbG8%3D", b"hello", "text/plain"),
        ("data:;base64,_-8=", b"\xff\xef", "text/plain;charset=US-ASCII"),
        ("data:text/html;charset=utf-8,%3Cb%3E", b"<b>", "text/html;charset=utf-8"),
        ("data:;charset=utf-8,x", b"x", "text/plain;charset=utf-8"),
        ("data:image/png;base64,", b"", "image/png"),
    ],
)
def test_the_forms_of_rfc_2397_are_read(uri: str, data: bytes, kind: str) -> None:
    assert parse(uri) == (data, kind)


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("data:text/plain;base64", "comma"),
        ("data:text/plain;base64,a", "base64"),
        ("data:text/plain;base64,aGVs*bG8=", "base64"),
        ("data:text/plain;base64,aGVsbG8=x", "base64"),
        ("data:text/plain;base64,aG=VsbG8", "base64"),
        ("data:te\r\nxt/plain,x", "type"),
        ("data:text/plain;base64,äöü", "ASCII"),
    ],
)
def test_broken_ones_are_refused_with_the_reason(uri: str, word: str) -> None:
    with pytest.raises(InvalidURLError, match=word):
        parse(uri)


@given(st.binary(max_size=2000))
def test_what_is_written_is_read_back(data: bytes) -> None:
    assert parse(write(data, "application/octet-stream"))[0] == data


PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


@given(
    data=st.binary(max_size=60),
    family=st.from_regex(r"[\w!#$&^.+-]{1,9}/[\w!#$&^.+*-]{1,9}", fullmatch=True),
    parameters=st.lists(PRINTABLE, max_size=3),
)
def test_every_content_type_survives_the_round_trip(
    data: bytes, family: str, parameters: list[str]
) -> None:
    """Trust T13: types with commas, blanks or `#` gave broken URIs and other content."""
    kind = ";".join([family, *(text.strip() for text in parameters)]).strip()
    if not is_header_safe(kind):
        return
    uri = write(data, kind)
    assert re.fullmatch(r"[!-~]+", uri)
    assert not set(uri) & set('#"<>\\^`{|}')
    assert uri.count(",") == 1
    tidy = ";".join(part.strip() for part in kind.split(";"))
    assert parse(uri) == (data, tidy)


@pytest.mark.parametrize("header", ["text/plain%0D%0Ax:y", "a%00/b", "%ff/b", "text/plain%20"])
def test_an_escaped_type_is_judged_when_it_is_decoded(header: str) -> None:
    if header.endswith("%20"):
        assert parse(f"data:{header},x")[1] == "text/plain"
    else:
        with pytest.raises(InvalidURLError, match="not a content type"):
            parse(f"data:{header},x")


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_limit_holds_to_the_byte(size: int, limit: int) -> None:
    uri = write(b"x" * size, "text/plain")
    if size <= limit:
        assert len(parse(uri, limit=limit)[0]) == size
    else:
        with pytest.raises(FileTooLargeError) as caught:
            parse(uri, limit=limit)
        assert caught.value.limit == limit


def test_escapes_and_blanks_are_not_counted_as_data() -> None:
    assert parse("data:,%41%42%43", limit=3)[0] == b"ABC"
    assert parse("data:;base64,QU%4AD", limit=3)[0] == b"ABC"
    assert parse("data:;base64, Q U J D \n", limit=3)[0] == b"ABC"


def test_a_huge_uri_is_refused_by_its_length_and_its_error_is_short() -> None:
    uri = "data:;base64," + base64.b64encode(b"x" * 3_000_000).decode()
    with pytest.raises(FileTooLargeError) as caught:
        parse(uri, limit=1000)
    assert len(str(caught.value)) < 300
