"""Trust T14: no bytes as an archive raise anything but the documented errors."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import py7zr
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.archives.archive import extract, extract_one
from towpath.archives.members import Budget
from towpath.archives.opening import opened_archive
from towpath.errors import BrokenArchiveError, MediaError, UnsafeArchiveError

BUDGET = Budget(entries=50, size=1_000_000, ratio=1000, depth=8)
MEMBERS = {"ü.txt": b"1" * 300, "a/b/c.bin": bytes(range(256)) * 3, "empty": b"", "long" * 60: b"l"}


def zipped(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("folder/"), b"")
        for name, data in MEMBERS.items():
            with archive.open(name, "w", force_zip64=name == "empty") as member:
                member.write(data)
        archive.comment = b"comment"
    return buffer.getvalue()


def tarred(form: int) -> bytes:
    buffer = io.BytesIO()
    options = {"comment": "x", "mtime": "1.5"}
    with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers=options) as archive:
        for name, data in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sparse() -> bytes:
    """Return a GNU sparse file with a map that goes on in a second header."""
    info = tarfile.TarInfo("hole")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:410] = b"%011o\0%011o\0" % (0, 512)
    head[482] = 1
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(512 + 512 + 1024)


def seven_zipped(filters: object, password: str | None = None, *, is_closed: bool = False) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", filters=filters, password=password) as archive:
        archive.set_encrypted_header(is_closed)
        for name, data in MEMBERS.items():
            archive.writestr(data, name)
    return buffer.getvalue()


PLAIN = tarred(tarfile.PAX_FORMAT)
WHOLE: dict[str, bytes] = {
    **{f"zip {method}": zipped(method) for method in (0, 8, 12, 14)},
    "pax": PLAIN,
    "gnu": tarred(tarfile.GNU_FORMAT),
    "ustar": tarred(tarfile.GNU_FORMAT),
    "sparse": sparse(),
    "gz": gzip.compress(PLAIN),
    "bz2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "zst": zstandard.ZstdCompressor().compress(PLAIN),
    "7z": seven_zipped(None),
    "7z copy": seven_zipped([{"id": py7zr.FILTER_COPY}]),
    "7z brotli": seven_zipped([{"id": py7zr.FILTER_BROTLI, "level": 5}]),
    "7z zstd": seven_zipped([{"id": py7zr.FILTER_ZSTD, "level": 3}]),
    "7z bcj": seven_zipped([{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}]),
    "7z encrypted": seven_zipped(None, "p"),
    "7z with encrypted names": seven_zipped(None, "p", is_closed=True),
}


def unpack(data: bytes, folder: Path) -> None:
    with opened_archive(io.BytesIO(data), BUDGET) as opened:
        extract(opened.archive, opened.members, folder, url=None)
        for each in opened.members[:2]:
            if each.member.kind == "file":
                extract_one(opened.archive, each, url=None).close()


def cut(data: bytes, at: int, size: int, noise: bytes) -> bytes:
    del noise
    return data[:at] + data[at + size :]


def overwritten(data: bytes, at: int, size: int, noise: bytes) -> bytes:
    del size
    return data[:at] + noise + data[at + len(noise) :]


def inserted(data: bytes, at: int, size: int, noise: bytes) -> bytes:
    del size
    return data[:at] + noise + data[at:]


def repeated(data: bytes, at: int, size: int, noise: bytes) -> bytes:
    del noise
    return data[: at + size] + data[at:]


def ended(data: bytes, at: int, size: int, noise: bytes) -> bytes:
    del size, noise
    return data[:at]


EDITS = (cut, overwritten, overwritten, overwritten, inserted, repeated, ended)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = WHOLE[draw(st.sampled_from(sorted(WHOLE)))]
    for _ in range(draw(st.integers(1, 6))):
        edit = draw(st.sampled_from(EDITS))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        noise = draw(st.sampled_from([b"\0", b"\xff", b"/"]) | st.binary(min_size=1, max_size=9))
        data = edit(data, at, draw(st.integers(1, 600)), noise)
    return data


@pytest.mark.parametrize("name", WHOLE)
def test_the_archives_to_damage_are_whole(name: str, tmp_path: Path) -> None:
    is_refused = "encrypted" in name or name == "sparse"
    if is_refused:
        with pytest.raises(UnsafeArchiveError):
            unpack(WHOLE[name], tmp_path)
    else:
        unpack(WHOLE[name], tmp_path)


@settings(max_examples=150)
@given(data=damaged() | st.binary(max_size=600))
def test_damage_raises_nothing_else(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("any")
    (root / "out").mkdir()
    with suppress(MediaError):
        unpack(data, root / "out")
    assert [path.name for path in root.iterdir()] == ["out"]


# --- what was found once -------------------------------------------------------------------------


def patched(data: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(mark) + offset
    return data[:at] + value + data[at + len(value) :]


def one(name: str, data: bytes = b"x" * 1000, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def nameless(tail: bytes = b"") -> bytes:
    """Return a ZIP whose member has no name."""
    data = one("N").replace(b"N", tail)
    for mark, offset in ((b"PK\x03\x04", 26), (b"PK\x01\x02", 28)):
        data = patched(data, mark, offset, struct.pack("<H", len(tail)))
    return patched(data, b"PK\x05\x06", 12, struct.pack("<II", 46 + len(tail), data.index(b"PK\1")))


def in_utf_8(name: bytes) -> bytes:
    """Return a ZIP with a name that is marked as UTF-8."""
    data = one("é" + "x" * (len(name) - 2))
    return data.replace("é".encode() + b"x" * (len(name) - 2), name)


def ppmd_header() -> bytes:
    """Return a 7z whose header is said to be packed by PPMd."""
    data = bytearray(seven_zipped(None))
    start, size = (int.from_bytes(data[at : at + 8], "little") for at in (12, 20))
    header = data[32 + start : 32 + start + size]
    lzma2, ppmd = b"\x21\x21\x01", b"\x23\x03\x04\x01\x01"  # flags, method, length of properties
    assert lzma2 in header
    header = header.replace(lzma2, ppmd, 1)
    data[32 + start :] = header
    data[20:28] = len(header).to_bytes(8, "little")
    data[28:32] = zlib.crc32(header).to_bytes(4, "little")
    data[8:12] = zlib.crc32(data[12:32]).to_bytes(4, "little")
    return bytes(data)


FOUND: dict[str, tuple[Callable[[], bytes], type[MediaError], str | None, str]] = {
    "an empty name": (nameless, UnsafeArchiveError, "", "its name is empty"),
    "a NUL": (
        lambda: patched(one("abc"), b"PK\x01\x02", 47, b"\0"),
        UnsafeArchiveError,
        "a\0c",
        "its name holds a NUL",
    ),
    "bad UTF-8": (
        lambda: in_utf_8(b"a\xff\xfeb"),
        BrokenArchiveError,
        "a\ufffd\ufffdb",
        "marked as UTF-8 and is not",
    ),
    "a surrogate": (
        lambda: in_utf_8(b"\xed\xa0\x80a"),
        BrokenArchiveError,
        "\ufffd\ufffd\ufffda",
        "marked as UTF-8 and is not",
    ),
    "a smaller size": (
        lambda: patched(one("abc"), b"PK\x01\x02", 24, struct.pack("<I", 10)),
        BrokenArchiveError,
        "abc",
        "not the size or the checksum that the archive declares",
    ),
    "a larger size": (
        lambda: patched(one("abc"), b"PK\x01\x02", 24, struct.pack("<I", 1001)),
        BrokenArchiveError,
        "abc",
        "declares 1001 bytes and holds 1000",
    ),
    "another checksum": (
        lambda: patched(one("abc"), b"PK\x01\x02", 16, b"\1\2\3\4"),
        BrokenArchiveError,
        "abc",
        "not the size or the checksum that the archive declares",
    ),
    "a dot": (lambda: one("... "), UnsafeArchiveError, "... ", "no character"),
    "PPMd, whose decoder crashes the process": (
        lambda: seven_zipped([{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 16}]),
        UnsafeArchiveError,
        None,
        "PPMd is not read",
    ),
    "a header in PPMd": (
        ppmd_header,
        UnsafeArchiveError,
        None,
        "PPMd is not read",
    ),
    "encrypted names": (
        lambda: seven_zipped(None, "p", is_closed=True),
        UnsafeArchiveError,
        None,
        "password",
    ),
}


@pytest.mark.parametrize(("make", "kind", "member", "reason"), FOUND.values(), ids=list(FOUND))
def test_the_error_says_the_member_and_the_reason(
    make: Callable[[], bytes],
    kind: type[MediaError],
    member: str | None,
    reason: str,
    tmp_path: Path,
) -> None:
    """Trust T14, and the list of wordings: "not a whole ZIP" said neither."""
    with pytest.raises(kind, match=reason) as caught:
        unpack(make(), tmp_path)
    if member is not None:
        assert caught.value.member == member


CLEANED = {"end.": "end", "a;b.txt": "a_b.txt", "a`id`.png": "a_id_.png", "blank. .": "blank"}


def test_names_that_shells_and_headers_read_otherwise_are_cleaned(tmp_path: Path) -> None:
    """The list of wordings: names that end in a dot or hold `;` and backquotes were kept."""
    for name, cleaned in CLEANED.items():
        folder = tmp_path / cleaned
        folder.mkdir()
        unpack(one(name), folder)
        assert [path.name for path in folder.iterdir()] == [cleaned]


def test_a_path_that_is_too_long_for_the_system_is_refused(tmp_path: Path) -> None:
    """Trust T14: OSError, for a name of few characters and many bytes."""
    data = one("/".join(["\N{GRINNING FACE}" * 63] * 16))
    deep = Budget(entries=9, size=10**6, ratio=1000, depth=32)
    with (
        pytest.raises(UnsafeArchiveError, match="too long"),
        opened_archive(io.BytesIO(data), deep) as opened,
    ):
        extract(opened.archive, opened.members, tmp_path, url=None)
