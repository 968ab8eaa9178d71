"""zlib streams made of parts: every reader takes them for one."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.codecs import deflate
from towpath.codecs.deflate import crc32, deflated, has_isal


@pytest.fixture(params=["isal", "zlib"])
def _each_library(request, monkeypatch) -> None:
    assert has_isal(), "this platform has a wheel"
    if request.param == "zlib":
        monkeypatch.setattr(deflate._Isal, "module", None)


@pytest.fixture
def _small_parts(monkeypatch) -> None:
    monkeypatch.setattr(deflate, "_LEAST_PART", 64)
    monkeypatch.setattr(deflate, "_processors", lambda: 16)


def packed(data: bytes, width: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the stream of *data* in rows, and which rows were asked for."""
    count = -(-len(data) // width)
    asked = []

    def rows(start: int, stop: int) -> memoryview:
        asked.append((start, stop))
        return memoryview(data)[start * width : stop * width]

    return deflated(rows, count, len(data)), asked


@pytest.mark.usefixtures("_each_library", "_small_parts")
@settings(max_examples=100)
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 90))
def test_a_stream_of_parts_holds_the_bytes_in_their_order(data: bytes, width: int) -> None:
    stream, asked = packed(data, width)
    assert zlib.decompress(stream) == data
    assert 1 <= len(asked) <= 16


@pytest.mark.usefixtures("_each_library")
@pytest.mark.parametrize("byte", [b"\0", b"\xff", b"\x80"])
def test_the_checksum_of_many_equal_bytes_is_right(byte: bytes) -> None:
    data = byte * (3 << 20)
    stream, _ = packed(data, 4096)
    assert zlib.decompress(stream) == data, "zlib compares it"


@pytest.mark.parametrize(("processors", "parts"), [(1, 1), (2, 4), (3, 6), (64, 6)])
def test_parts_are_no_smaller_than_half_a_mebibyte(
    processors: int, parts: int, monkeypatch
) -> None:
    monkeypatch.setattr(deflate, "_processors", lambda: processors)
    assert len(packed(bytes(3 << 20), 4096)[1]) == parts


@pytest.mark.usefixtures("_small_parts")
def test_every_row_is_asked_for_once() -> None:
    _, asked = packed(bytes(1000), 10)
    edges = sorted(asked)
    assert [start for start, _ in edges[1:]] == [stop for _, stop in edges[:-1]]
    assert (edges[0][0], edges[-1][1]) == (0, 100)


@pytest.mark.usefixtures("_each_library")
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_check_goes_on_from_an_earlier_one(first: bytes, second: bytes) -> None:
    assert crc32(second, crc32(first)) == zlib.crc32(first + second)
