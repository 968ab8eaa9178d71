import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.archives.archive import extract
from towpath.archives.members import Budget
from towpath.archives.opening import opened_archive
from towpath.errors import BrokenArchiveError, UnsafeArchiveError

BUDGET = Budget(entries=100, size=1_000_000, ratio=100, depth=8)
MEMBERS = {"ü.txt": b"1", "a/b/c.bin": bytes(range(256)) * 9, "empty": b"", ".hidden": b"h"}
CODINGS = {
    "": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def unpack(data: bytes, folder: Path, budget: Budget = BUDGET) -> dict[str, bytes]:
    with opened_archive(io.BytesIO(data), budget) as opened:
        extract(opened.archive, opened.members, folder, url=None)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def packed(members: dict[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def one(name: str, **fields) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(b"\0" * info.size))
    return buffer.getvalue()


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_good_archives_are_unpacked_exactly(coding: str, form: int, tmp_path: Path) -> None:
    assert unpack(CODINGS[coding](packed(MEMBERS, format=form)), tmp_path) == MEMBERS


@pytest.mark.parametrize("coding", ["gz", "bz2", "xz", "zst"])
def test_several_compressed_streams_in_a_row_are_one(coding: str, tmp_path: Path) -> None:
    data = packed(MEMBERS)
    halves = CODINGS[coding](data[:700]) + CODINGS[coding](data[700:])
    assert unpack(halves, tmp_path) == MEMBERS


@pytest.mark.parametrize(
    ("data", "member"),
    [
        (packed({"../evil": b"x"}), "../evil"),
        (packed({"/etc/passwd": b"x"}), "/etc/passwd"),
        (one("link", type=tarfile.SYMTYPE, linkname="/etc"), "link"),
        (one("hard", type=tarfile.LNKTYPE, linkname="x"), "hard"),
        (one("fifo", type=tarfile.FIFOTYPE), "fifo"),
        (one("device", type=tarfile.CHRTYPE), "device"),
        (packed({"a": b"x", "a/b": b"y"}), "a"),
        (packed({"/".join("abcdefghij"): b"x"}), "a/b/c"),
    ],
)
def test_a_dangerous_member_is_refused_by_its_name(data: bytes, member: str, tmp_path) -> None:
    with pytest.raises(UnsafeArchiveError) as caught:
        unpack(data, tmp_path)
    assert member.split("/", maxsplit=1)[0] in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("coding", ["gz", "bz2", "xz", "zst"])
def test_a_bomb_is_refused_while_it_is_unpacked(coding: str, tmp_path: Path) -> None:
    bomb = CODINGS[coding](packed({"zeros": bytes(60_000_000)}))
    budget = Budget(entries=9, size=10**9, ratio=50, depth=8)
    with pytest.raises(UnsafeArchiveError, match="times its size"):
        unpack(bomb, tmp_path, budget)
    with pytest.raises(UnsafeArchiveError, match="and the limit is 1000000"):
        unpack(bomb, tmp_path, Budget(entries=9, size=10**6, ratio=10**9, depth=8))
    assert list(tmp_path.iterdir()) == []


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match="more than 100 members"):
        unpack(packed({str(n): b"" for n in range(101)}), tmp_path)


def test_setuid_bits_do_not_come_along(tmp_path: Path) -> None:
    unpack(one("tool", mode=0o6755, size=3), tmp_path)
    assert (tmp_path / "tool").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize("coding", CODINGS)
def test_a_cut_archive_is_one_error(coding: str, tmp_path: Path) -> None:
    whole = CODINGS[coding](packed({"a": bytes(range(256)) * 40}))
    with pytest.raises(BrokenArchiveError):
        unpack(whole[: len(whole) // 2], tmp_path)


def test_a_header_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    data = bytearray(one("x" * 50, type=tarfile.XHDTYPE))
    data[124:136] = b"77777777777\0"
    data[148:156] = b" " * 8
    total = sum(data[:512])
    data[148:156] = f"{total:06o}\0 ".encode()
    with pytest.raises(UnsafeArchiveError, match=r"header of \d+ bytes"):
        unpack(bytes(data), tmp_path)


@settings(max_examples=60)
@given(data=st.data())
def test_random_damage_never_raises_anything_else(data, tmp_path_factory) -> None:
    coding = data.draw(st.sampled_from(sorted(CODINGS)))
    whole = bytearray(CODINGS[coding](packed(MEMBERS)))
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("tar")
    (root / "out").mkdir()
    found = {}
    try:
        found = unpack(bytes(whole), root / "out")
    except (BrokenArchiveError, UnsafeArchiveError):
        found = {}
    assert [path.name for path in root.iterdir()] == ["out"]
    assert sum(map(len, found.values())) <= BUDGET.size
