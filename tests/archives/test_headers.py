"""Trust T11: what an archive says of its members meets a limit, whatever its format."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace

import py7zr
import pytest
from typing_extensions import override

from towpath.archives.members import Budget
from towpath.archives.opening import opened_archive
from towpath.errors import BrokenArchiveError, MediaError, UnsafeArchiveError

MIB = 2**20
BUDGET = Budget(entries=100, size=2**30, ratio=10**6, depth=8)
KEPT = 16 * MIB


def names(data: bytes, budget: Budget = BUDGET) -> list[str]:
    with opened_archive(io.BytesIO(data), budget) as opened:
        return [each.name for each in opened.members]


# --- tar -----------------------------------------------------------------------------------------


def block(name: bytes, size: int, kind: bytes) -> bytes:
    """Return the header of a tar's entry."""
    info = tarfile.TarInfo(name.decode())
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def extended(kind: bytes, content: bytes) -> bytes:
    return block(b"extended", len(content), kind) + padded(content)


def record(keyword: str, size: int) -> bytes:
    """Return a pax record of *size* bytes in all."""
    start = f"{size} {keyword}=".encode()
    return start + b"c" * (size - len(start) - 1) + b"\n"


def tar(*headers: bytes, count: int = 1) -> bytes:
    """Return a tar of *count* empty members, each with the *headers* before it."""
    members = (b"".join(headers) + block(b"m%d" % n, 0, tarfile.REGTYPE) for n in range(count))
    return b"".join(members) + bytes(1024)


def pax(size: int) -> bytes:
    return extended(tarfile.XHDTYPE, record("comment", size))


def fields(count: int) -> bytes:
    """Return a global header of *count* fields."""
    records = (b"%d %06x=\n" % (11, number) for number in range(count))
    return extended(tarfile.XGLTYPE, b"".join(records))


def pax_path(size: int) -> bytes:
    return extended(tarfile.XHDTYPE, record("path", size))


def sparse_map(size: int) -> bytes:
    """Return the pax header of a sparse file with a map of *size* bytes."""
    data = record("GNU.sparse.map", size).replace(b"cc", b"0,")
    return extended(tarfile.XHDTYPE, data)


def overlapping(size: int) -> bytes:
    """Return pax records of which each begins within the one before."""
    return extended(tarfile.XHDTYPE, b"5 a" * (size // 3 - 1) + b"=")


def below_zero(kind: bytes, size: int) -> bytes:
    """Return a header whose length is below 0, by which `tarfile` reads all there is."""
    return tarfile.TarInfo._create_header(
        {"name": "extended", "size": -size, "type": kind}, tarfile.GNU_FORMAT, "utf-8", "strict"
    ) + bytes(20 * MIB)


def global_headers(count: int) -> bytes:
    headers = (extended(tarfile.XGLTYPE, record(f"k{n}", MIB - 512)) for n in range(count))
    return b"".join(headers) + tar()


# --- ZIP -----------------------------------------------------------------------------------------


def directory(*entries: tuple[bytes, bytes, bytes], told: int | None = None) -> bytes:
    """Return a ZIP of empty members by their names, extra fields and comments."""
    local = b"".join(
        struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name
        for name, _, _ in entries
    )
    at, central = 0, b""
    pieces: list[bytes] = []
    for name, extra, comment in entries:
        lengths = (len(name), len(extra), len(comment))
        head = struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, *lengths, 0, 0, 0, at
        )
        pieces += [head, name, extra, comment]
        at += 30 + len(name)
    central = b"".join(pieces)
    count = min(told if told is not None else len(entries), 0xFFFF)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(central), len(local), 0)
    return local + central + end


def named(number: int) -> bytes:
    return b"%06d" % number


def zip_of(size: int) -> bytes:
    """Return a ZIP whose directory has *size* bytes."""
    each = 46 + 6 + 60_000
    count, rest = divmod(size, each)
    entries = [(named(n), b"", b"c" * 60_000) for n in range(count)]
    if rest:
        entries.append((named(count), b"", b"c" * (rest - 52)))
    return directory(*entries)


# --- 7z ------------------------------------------------------------------------------------------


def seven_zip(count: int, length: int) -> bytes:
    """Return a 7z of empty files with long names; its header is packed."""
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(b"", f"{number:06}{'n' * length}")
    return buffer.getvalue()


def seven_zip_that_declares(size: int) -> bytes:
    data = bytearray(seven_zip(1, 1)) + bytes(max(0, size))
    data[20:28] = size.to_bytes(8, "little")
    return bytes(data)


LARGE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a pax comment": (lambda: tar(pax(MIB + 1)), "header of 1049088 bytes"),
    "many pax comments": (lambda: tar(pax(MIB - 600), count=40), "headers have more than"),
    "a global header": (
        lambda: extended(tarfile.XGLTYPE, record("k", 2 * MIB)) + tar(),
        "header of",
    ),
    "many global headers": (lambda: global_headers(40), "headers have more than"),
    "a GNU long name": (
        lambda: tar(extended(tarfile.GNUTYPE_LONGNAME, b"n" * 2 * MIB)),
        "header of",
    ),
    "a GNU long link": (
        lambda: tar(extended(tarfile.GNUTYPE_LONGLINK, b"n" * 2 * MIB)),
        "header of",
    ),
    "names": (lambda: tar(pax_path(MIB - 600), count=40), "its name is too long"),
    "fields of a global header, for each member": (
        lambda: fields(900) + tar(count=100),
        "headers have more than",
    ),
    "a map of a sparse file": (lambda: tar(sparse_map(MIB - 600)), "sparse"),
    "an old map of a sparse file": (
        lambda: block(b"s", 0, tarfile.GNUTYPE_SPARSE) + bytes(MIB),
        "sparse",
    ),
    "pax records that overlap": (lambda: tar(overlapping(MIB - 600)), "is not one"),
    "a run of digits in a pax header": (
        lambda: tar(extended(tarfile.XHDTYPE, record("c", MIB - 600).replace(b"c", b"1"))),
        "takes minutes",
    ),
    "a pax header of a length below 0": (
        lambda: below_zero(tarfile.XHDTYPE, 1024),
        "not a whole tar",
    ),
    "a GNU name of a length below 0": (
        lambda: below_zero(tarfile.GNUTYPE_LONGNAME, 1024),
        "not a whole tar",
    ),
    "a member of a length below 0": (
        lambda: below_zero(tarfile.REGTYPE, 1024),
        "not a whole tar",
    ),
    "in a tar.gz": (lambda: gzip.compress(tar(pax(MIB - 600), count=40)), "headers have"),
    "comments of a ZIP": (lambda: zip_of(2 * MIB), "directory has 2097152 bytes"),
    "extra fields of a ZIP": (
        lambda: directory(
            *((named(n), b"\x99\x99\x60\xea" + bytes(60_000), b"") for n in range(40))
        ),
        "directory has",
    ),
    "a ZIP of many members": (
        lambda: directory(*((named(n), b"", b"") for n in range(101))),
        "it has 101 members",
    ),
    "a ZIP that denies its members": (
        lambda: directory(*((named(n), b"", b"") for n in range(5000)), told=1),
        "it has 5000 members",
    ),
    "a 7z header": (lambda: seven_zip_that_declares(2 * MIB), "header has 2097152 bytes"),
    "a packed 7z header": (lambda: seven_zip(60, 16_000), "header size exceeds limit"),
}


@pytest.mark.parametrize(("make", "reason"), LARGE.values(), ids=list(LARGE))
def test_large_headers_are_refused_in_little_memory(make: Callable[[], bytes], reason: str) -> None:
    """Trust T11: 9.6 MB of tar.gz became 808 MB of memory."""
    data = make()
    tracemalloc.start()
    try:
        with pytest.raises((UnsafeArchiveError, BrokenArchiveError), match=reason):
            names(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < KEPT


def test_headers_within_the_limit_are_read_in_constant_memory() -> None:
    """Trust T11: nothing of a header is kept but the name."""
    budget = Budget(entries=10_000, size=2**30, ratio=10**6, depth=8)
    data = tar(pax(MIB - 600), count=38)
    tracemalloc.start()
    try:
        assert len(names(data, budget)) == 38
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < KEPT


@pytest.mark.parametrize(
    ("whole", "larger"),
    [
        (tar(pax(MIB)), tar(pax(MIB + 1))),
        (zip_of(BUDGET.header_bytes), zip_of(BUDGET.header_bytes + 1)),
        (
            directory(*((named(n), b"", b"") for n in range(100))),
            directory(*((named(n), b"", b"") for n in range(101))),
        ),
        (tar(pax_path(1024 + 11)), tar(pax_path(1024 + 12))),
    ],
    ids=["a header", "a directory", "members", "a name"],
)
def test_each_limit_is_crossed_by_one(whole: bytes, larger: bytes) -> None:
    assert names(whole)
    with pytest.raises(UnsafeArchiveError):
        names(larger)


def test_py7zr_has_its_own_limits_back(tmp_path) -> None:
    """An app's own use of the library is not bounded by ours."""
    before = (py7zr.archiveinfo.MAX_HEADER_SIZE, py7zr.archiveinfo.MAX_NUMFILES)
    names(seven_zip(2, 5))
    with pytest.raises(MediaError):
        names(seven_zip(60, 16_000))
    assert before == (py7zr.archiveinfo.MAX_HEADER_SIZE, py7zr.archiveinfo.MAX_NUMFILES)


class Counted(io.BytesIO):
    """A file that counts how often it is read."""

    reads = 0

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


def test_the_name_in_a_gzip_is_not_read_byte_by_byte() -> None:
    """Trust T11: a name of megabytes held the reader up for minutes."""
    packed = gzip.compress(tar())
    name = b"n" * (4 * MIB) + b"\0"
    stream = Counted(packed[:3] + b"\x08" + packed[4:10] + name + packed[10:])
    with opened_archive(stream, BUDGET) as opened:
        assert [each.name for each in opened.members] == ["m0"]
    assert stream.reads < 100


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("count", [60_000, 4000])
def test_empty_parts_are_refused_before_they_take_long(pack, count: int) -> None:
    """Trust T11: each begins anew with what is left of the buffer; a megabyte took seconds."""
    with pytest.raises(UnsafeArchiveError, match="too many small parts"):
        names(pack(b"") * count + pack(tar()))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_part_for_each_member_is_read(pack) -> None:
    """Images are packed so for lazy readers (eStargz), and bgzip makes blocks."""
    data = tar(count=400)
    parts = [data[at : at + 512] for at in range(0, len(data), 512)]
    assert len(names(b"".join(map(pack, parts)), replace(BUDGET, entries=400))) == 400


def test_several_gzip_members_with_zeros_between_are_one(tmp_path) -> None:
    data = tar(count=3)
    assert names(gzip.compress(data[:700]) + bytes(9) + gzip.compress(data[700:]) + bytes(99)) == [
        "m0",
        "m1",
        "m2",
    ]


def test_a_zip_of_the_standard_library_is_read_as_before() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(100):
            archive.writestr(str(number), b"x")
        archive.comment = b"c" * 60_000
    assert len(names(buffer.getvalue())) == 100
