"""Trust T11: what a 7z holds is decoded in steps, whatever it is packed by."""

import io
import random
import tracemalloc

import py7zr
import pytest
from py7zr.properties import DEFAULT_FILTERS, FILTER_BROTLI, FILTER_DEFLATE64

from towpath.archives.archive import extract_one
from towpath.archives.members import Budget
from towpath.archives.opening import opened_archive
from towpath.errors import UnsafeArchiveError

MIB = 2**20
BUDGET = Budget(entries=100, size=2**30, ratio=10**6, depth=8)
KEPT = 32 * MIB  # of which a dictionary takes 16
FILTERS = {
    "LZMA2": [{"id": py7zr.FILTER_LZMA2, "preset": 0}],
    "LZMA": [{"id": py7zr.FILTER_LZMA, "preset": 0}],
    "delta and LZMA2": [
        {"id": py7zr.FILTER_DELTA, "dist": 4},
        {"id": py7zr.FILTER_LZMA2, "preset": 0},
    ],
    "x86 and LZMA2": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 0}],
    "x86 and LZMA": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA, "preset": 0}],
    "ARM and bzip2": [{"id": py7zr.FILTER_ARM}, {"id": py7zr.FILTER_BZIP2}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "deflate64": [{"id": FILTER_DEFLATE64}],
    "Zstandard": [{"id": py7zr.FILTER_ZSTD, "level": 3}],
    "Brotli": [{"id": FILTER_BROTLI, "level": 3}],
    "x86 and Brotli": [{"id": py7zr.FILTER_X86}, {"id": FILTER_BROTLI, "level": 3}],
    "x86 and Zstandard": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_ZSTD, "level": 3}],
    "nothing": [{"id": py7zr.FILTER_COPY}],
}


def packed(members: dict[str, bytes], filters: list[dict[str, int]]) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", filters=filters) as archive:
        for name, data in members.items():
            archive.writestr(data, name)
    return buffer.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with opened_archive(io.BytesIO(data), BUDGET) as opened:
        found = {}
        for placed in opened.members:
            with extract_one(opened.archive, placed, url=None) as file:
                found[placed.name] = file.read()
        return found


@pytest.mark.parametrize("filters", FILTERS.values(), ids=list(FILTERS))
def test_a_large_member_is_decoded_in_little_memory(filters: list[dict[str, int]]) -> None:
    """Trust T11: 3.5 MB became 800 MB of memory, three times what they hold."""
    data = packed({"zeros": bytes(48 * MIB)}, filters)
    tracemalloc.start()
    try:
        with opened_archive(io.BytesIO(data), BUDGET) as opened:
            extract_one(opened.archive, opened.members[0], url=None).close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - len(data) < KEPT


def mixed(size: int) -> bytes:
    """Return bytes of which some can be packed well, some not at all."""
    source = random.Random(size)
    return (source.randbytes(size // 3) + bytes(size // 3) + b"towpath" * size)[:size]


@pytest.mark.parametrize("filters", FILTERS.values(), ids=list(FILTERS))
def test_steps_end_where_members_do(filters: list[dict[str, int]]) -> None:
    sizes = (0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7, 16 * 1024, 5)
    members = {f"{number}.bin": mixed(size) for number, size in enumerate(sizes)}
    assert unpacked(packed(members, filters)) == members


@pytest.mark.parametrize("size", range(16_370, 16_390))
def test_an_end_mark_in_the_next_block_is_no_error(size: int) -> None:
    """The input comes in blocks of 16 KiB, and an end mark may be alone in one."""
    data = random.Random(size).randbytes(size)
    assert unpacked(packed({"a": data}, FILTERS["x86 and LZMA2"])) == {"a": data}


def test_archives_of_several_folders_are_read(tmp_path) -> None:
    path = tmp_path / "a.7z"
    members = {f"{number}.bin": mixed(MIB + number) for number in range(4)}
    for number, (name, data) in enumerate(members.items()):
        with py7zr.SevenZipFile(path, "a" if number else "w") as archive:
            archive.writestr(data, name)
    assert unpacked(path.read_bytes()) == members


def test_a_header_that_is_packed_without_a_limit_is_refused(monkeypatch) -> None:
    """Trust T11: py7zr decodes the header by itself, and all that its input becomes."""
    monkeypatch.setattr(type(DEFAULT_FILTERS), "ENCODED_HEADER_FILTER", FILTERS["Zstandard"])
    data = packed({"a": b"a"}, FILTERS["LZMA2"])
    with pytest.raises(UnsafeArchiveError, match="its header is not packed by LZMA"):
        unpacked(data)
