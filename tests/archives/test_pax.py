"""Trust T11: pax headers are judged before the standard library reads them."""

import io
import tarfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from towpath.archives.pax import problem_of_pax

MIB = 2**20


def record(keyword: bytes, value: bytes) -> bytes:
    """Return one record: its length counts itself."""
    size = len(keyword) + len(value) + 3
    while len(b"%d" % size) + len(keyword) + len(value) + 3 != size:
        size += 1
    return b"%d %s=%s\n" % (size, keyword, value)


def header_by_tarfile(headers: dict[str, str]) -> bytes:
    """Return the body of a pax header as the standard library writes it."""
    info = tarfile.TarInfo("a")
    info.pax_headers = headers
    return info.create_pax_header(info.get_info(), "utf-8")[512:-512]


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="=\0", codec="utf-8"), min_size=1).filter(
            lambda keyword: not keyword.startswith("GNU.sparse.")
        ),
        st.text(st.characters(exclude_characters="\0", codec="utf-8")),
        min_size=1,
    )
)
@example({"path": "1" * 200, "mtime": "1234567890.123456789"})
def test_what_the_standard_library_writes_is_read(headers: dict[str, str]) -> None:
    assert problem_of_pax(header_by_tarfile(headers)) == ""


REFUSED = {
    "records that overlap": b"5 a" * 1000 + b"=",
    "a length of 0": b"0 a=b\n",
    "a length that leads over the end": b"99 a=b\n",
    "a length of too many digits": b"0" * 21 + b"6 a=b\n",
    "no keyword": b"5 =b\n",
    "no equals sign": b"6 abc\n",
    "no line break": b"6 a=bc",
    "no length": b"a=b\n",
    "a run of digits": record(b"comment", b"1" * 5000),
    "many charsets": record(b"comment", b"1 hdrcharset=x" * 9),
    "a map of a sparse file": record(b"GNU.sparse.map", b"0,0"),
    "another version of such a map": record(b"GNU.sparse.major", b"1"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=list(REFUSED))
def test_what_takes_long_or_much_memory_is_refused(data: bytes) -> None:
    """Trust T11: 1 MiB of it held the process for most of an hour, or became gigabytes."""
    padded = data + bytes(-len(data) % 512)
    assert problem_of_pax(padded)
    assert problem_of_pax(record(b"k", b"v") + padded)


@pytest.mark.parametrize(
    ("whole", "larger"),
    [
        (record(b"c", b"1" * 4096), record(b"c", b"1" * 4097)),
        (
            record(b"c", b"1 hdrcharset=" * 8),
            record(b"c", b"1 hdrcharset=" * 9),
        ),
    ],
    ids=["digits", "charsets"],
)
def test_each_limit_is_crossed_by_one(whole: bytes, larger: bytes) -> None:
    assert problem_of_pax(whole) == ""
    assert "minutes" in problem_of_pax(larger)


@given(st.binary(max_size=600))
def test_what_is_accepted_means_the_same_to_the_standard_library(data: bytes) -> None:
    """There is no reading of ours that differs from the one that counts."""
    if problem_of_pax(data) or not data.strip(b"\0"):
        return
    head = tarfile.TarInfo("x")
    head.size, head.type = len(data), tarfile.XHDTYPE
    body = data + bytes(-len(data) % 512)
    whole = head.tobuf(tarfile.USTAR_FORMAT) + body + tarfile.TarInfo("a").tobuf() + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        found = archive.getmembers()[0].pax_headers
    lengths = [len(record(k.encode(), v.encode())) for k, v in found.items()]
    assert sum(lengths) <= len(data)
