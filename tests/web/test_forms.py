"""Forms are read as they come, whatever the pieces, and everything in them has a limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.errors import RequestError, TowpathError
from towpath.web.forms import FormFile, FormLimits, read_form

LIMITS = FormLimits(files=3, fields=3, text=100)
KIND = "multipart/form-data; boundary=b"


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def form(*parts: tuple[str, bytes] | tuple[str, bytes, str, str]) -> bytes:
    """Write a form; a file has a name and a type besides."""
    text = b""
    for name, data, *rest in parts:
        more = f'; filename="{rest[0]}"\r\nContent-Type: {rest[1]}' if rest else ""
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        text += head.encode() + data + b"\r\n"
    return text + b"--b--\r\n"


def read(text: bytes, *, size: int = 10_000, kind: str = KIND, limits: FormLimits = LIMITS):
    """Read a form in pieces of *size*."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(text), size):
            yield text[at : at + size]

    return asyncio.run(read_form(pieces(), kind, Sink, limits))


@given(size=st.integers(1, 400), data=st.binary(max_size=1500), text=st.text(max_size=20))
def test_fields_and_files_arrive_in_whatever_pieces(size: int, data: bytes, text: str) -> None:
    written = form(("a", text.encode()), ("file", data, "näme.bin", "x/y"), ("a", b"2"))
    (_, first), (name, file), (_, last) = read(written, size=size)
    assert (first, last) == (text, "2")
    assert isinstance(file, FormFile)
    assert (name, file.name, file.content_type) == ("file", "näme.bin", "x/y")
    assert file.sink.data == data
    assert file.head == data[:512]


@pytest.mark.parametrize(
    ("files", "fields", "said"),
    [
        (1, 20, "more than 1 file. It may have 1 file and 20 other fields."),
        (2, 1, "more than 2 files. It may have 2 files and 1 other field."),
        (0, 3, "more than 0 files. It may have 0 files and 3 other fields."),
    ],
)
def test_a_form_with_a_file_too_many_says_what_is_allowed(
    files: int, fields: int, said: str
) -> None:
    """Issue 18: it said "1 files"."""
    text = form(*[("file", b"1", "a.txt", "x/y")] * (files + 1))
    with pytest.raises(RequestError) as caught:
        read(text, limits=FormLimits(files, fields, 100))
    assert str(caught.value) == f"The form has {said}"


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        (
            form(*[("a", b"1")] * 4),
            KIND,
            r"has more than 3 other fields\. It may have 3 files and 3 other fields\.",
        ),
        (
            form(*[("a", b"1", "a.txt", "x/y")] * 4),
            KIND,
            r"has more than 3 files\. It may have 3 files and 3 other fields\.",
        ),
        (form(*[("a", b"1", "n", "x/y")] * 4), KIND, "more than 3 files"),
        (form(("a", b"1" * 60), ("b", b"1" * 41)), KIND, "more than 100 bytes"),
        (form(("a", b"1"))[:-8], KIND, "broke off"),
        (b"", KIND, "broke off"),
        (b"x", KIND, "form cannot be read"),
        (b"--b\r\nContent-Type: x/y\r\n\r\n1\r\n--b--\r\n", KIND, "has no name"),
        (form(("a", b"1")), "multipart/form-data", "boundary"),
        (form(("a", b"1")), "multipart/form-data; boundary=" + "b" * 300, "boundary"),
        (b"--b\r\n" + b"X: y\r\n" * 5000 + b"\r\n1\r\n--b--\r\n", KIND, "form cannot be read"),
        (b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\n1\r\n--b--\r\n", KIND, "form cannot be read"),
    ],
)
def test_a_form_that_has_too_much_or_is_none_is_refused(text: bytes, kind: str, word: str) -> None:
    with pytest.raises(RequestError, match=word):
        read(text, kind=kind)


@given(st.binary(max_size=300), st.text(max_size=40))
def test_no_text_as_a_form_raises_anything_else(text: bytes, kind: str) -> None:
    for each in (text, b"--b\r\n" + text + b"\r\n--b--\r\n"):
        for how in ({"size": 7}, {"kind": f"multipart/form-data; {kind}"}):
            with suppress(TowpathError):
                read(each, **how)


def test_an_error_of_a_sink_is_the_form_s_error() -> None:
    class Full(Sink):
        def write(self, data: bytes) -> None:
            raise RequestError(str(len(data)))

    async def pieces() -> AsyncIterator[bytes]:
        yield form(("file", b"12345", "n", "x/y"))

    with pytest.raises(RequestError, match="5"):
        asyncio.run(read_form(pieces(), KIND, Full, LIMITS))
