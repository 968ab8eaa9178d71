import contextlib
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.archives.archive import extract
from towpath.archives.members import Budget
from towpath.archives.opening import opened_archive
from towpath.errors import BrokenArchiveError, UnsafeArchiveError

BUDGET = Budget(entries=100, size=1_000_000, ratio=100, depth=8)


def unpack(data: bytes, folder: Path, budget: Budget = BUDGET) -> None:
    with opened_archive(io.BytesIO(data), budget) as opened:
        extract(opened.archive, opened.members, folder, url=None)


def packed(members: dict[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def special(name: str, mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"/etc")
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(packed({"secret.txt": b"x"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "member"),
    [
        (packed({"../evil": b"x"}), "../evil"),
        (packed({"a/../../evil": b"x"}), "a/../../evil"),
        (packed({"/etc/passwd": b"x"}), "/etc/passwd"),
        (packed({"..\\evil": b"x"}), "..\\evil"),
        (packed({"C:\\evil": b"x"}), "C:\\evil"),
        (special("link", 0o120777), "link"),
        (special("fifo", 0o010644), "fifo"),
        (special("device", 0o020644), "device"),
        (packed({"a": b"x", "a/b": b"y"}), "a"),
        (packed({"/".join("abcdefghij"): b"x"}), "a/b/c"),
        (encrypted(), "secret.txt"),
    ],
)
def test_a_dangerous_member_is_refused_by_its_name(
    data: bytes, member: str, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(UnsafeArchiveError) as caught:
        unpack(data, target, BUDGET)
    assert member.split("/", maxsplit=1)[0] in str(caught.value)
    assert list(target.iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_a_duplicate_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(UnsafeArchiveError, match="same name"):
        unpack(buffer.getvalue(), tmp_path, BUDGET)


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (Budget(entries=2, size=10**6, ratio=100, depth=8), "3 members, and the limit is 2"),
        (Budget(entries=9, size=29, ratio=100, depth=8), "30 bytes, and the limit is 29"),
    ],
)
def test_each_limit_is_crossed_by_one(budget: Budget, word: str, tmp_path: Path) -> None:
    data = packed(dict.fromkeys("abc", b"x" * 10))
    with pytest.raises(UnsafeArchiveError, match=word):
        unpack(data, tmp_path, budget)
    unpack(data, tmp_path, Budget(entries=3, size=30, ratio=100, depth=8))


def test_a_bomb_is_refused_before_its_first_byte(tmp_path: Path) -> None:
    data = packed({"zeros": b"\0" * 50_000_000}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeArchiveError, match="times its size"):
        unpack(data, tmp_path, Budget(entries=9, size=10**9, ratio=100, depth=8))
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    data = bytearray(packed({"a": b"x" * 1000}, compression=zipfile.ZIP_DEFLATED))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")
    with pytest.raises(BrokenArchiveError, match="size or the checksum"):
        unpack(bytes(data), tmp_path, BUDGET)


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    data = bytearray(packed({"a": b"x" * 500, "b": b"y" * 500}))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    with pytest.raises(UnsafeArchiveError, match="it overlaps another member"):
        unpack(bytes(data), tmp_path, BUDGET)


def test_a_broken_checksum_is_found(tmp_path: Path) -> None:
    data = packed({"a": b"hello world"}).replace(b"hello world", b"hellO world")
    with pytest.raises(BrokenArchiveError, match=r"Member 'a'.*checksum"):
        unpack(data, tmp_path, BUDGET)


@settings(max_examples=40)
@given(name=st.text(min_size=1, max_size=60))
def test_no_name_leads_outside(name: str, tmp_path_factory) -> None:
    root = tmp_path_factory.mktemp("zip")
    target = root / "out"
    target.mkdir()
    try:
        data = packed({name: b"x"})
    except (UnicodeEncodeError, ValueError, IndexError):  # zipfile itself cannot write it
        return
    with contextlib.suppress(UnsafeArchiveError, BrokenArchiveError):
        unpack(data, target, BUDGET)
    assert [p.name for p in root.iterdir()] == ["out"]


def test_good_archives_are_unpacked_exactly(tmp_path: Path) -> None:
    members = {"ü.txt": b"1", "a/b/c.bin": bytes(range(256)), "empty": b"", ".hidden": b"h"}
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        target = tmp_path / str(method)
        target.mkdir()
        unpack(b"prefix" + packed(members, compression=method), target, BUDGET)
        found = {
            p.relative_to(target).as_posix(): p.read_bytes()
            for p in target.rglob("*")
            if p.is_file()
        }
        assert found == members
