import io
from pathlib import Path

import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from towpath.archives.archive import extract
from towpath.archives.members import Budget
from towpath.archives.opening import opened_archive
from towpath.errors import BrokenArchiveError, UnsafeArchiveError

BUDGET = Budget(entries=100, size=1_000_000, ratio=100, depth=8)
MEMBERS = {"ü.txt": b"1", "a/b/c.bin": bytes(range(256)) * 9, "empty": b"", ".hidden": b"h"}


def unpack(data: bytes, folder: Path, budget: Budget = BUDGET) -> dict[str, bytes]:
    with opened_archive(io.BytesIO(data), budget) as opened:
        extract(opened.archive, opened.members, folder, url=None)
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def packed(members: dict[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(data, name)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "filters",
    [
        None,
        [{"id": py7zr.FILTER_LZMA}],
        [{"id": py7zr.FILTER_BZIP2}],
        [{"id": py7zr.FILTER_DEFLATE}],
        [{"id": py7zr.FILTER_ZSTD, "level": 3}],
        [{"id": py7zr.FILTER_COPY}],
    ],
    ids=["lzma2", "lzma", "bzip2", "deflate", "zstd", "copy"],
)
def test_good_archives_are_unpacked_exactly(filters, tmp_path: Path) -> None:
    assert unpack(packed(MEMBERS, filters=filters), tmp_path) == MEMBERS


def test_folders_come_out_too(tmp_path: Path) -> None:
    (tmp_path / "in" / "empty").mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text("a")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(tmp_path / "in", "in")
    (tmp_path / "out").mkdir()
    assert unpack((tmp_path / "a.7z").read_bytes(), tmp_path / "out") == {"in/a.txt": b"a"}
    assert (tmp_path / "out" / "in" / "empty").is_dir()


def test_a_link_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    (tmp_path / "in" / "link").symlink_to("a.txt")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(tmp_path / "in", "in")
    (tmp_path / "out").mkdir()
    with pytest.raises(UnsafeArchiveError, match="link"):
        unpack((tmp_path / "a.7z").read_bytes(), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match="password"):
        unpack(packed({"secret.txt": b"x"}, password="p"), tmp_path)


def test_a_bomb_is_refused_before_its_first_byte(tmp_path: Path) -> None:
    bomb = packed({"zeros": bytes(60_000_000)})
    with pytest.raises(UnsafeArchiveError, match="times its size"):
        unpack(bomb, tmp_path, Budget(entries=9, size=10**9, ratio=100, depth=8))
    with pytest.raises(UnsafeArchiveError, match="and the limit is 1000000"):
        unpack(bomb, tmp_path, Budget(entries=9, size=10**6, ratio=10**9, depth=8))
    assert list(tmp_path.iterdir()) == []


def test_what_needs_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    large = [{"id": py7zr.FILTER_LZMA2, "dict_size": 2**30}]
    with pytest.raises(UnsafeArchiveError, match="bytes of memory"):
        unpack(packed({"a": b"x"}, filters=large), tmp_path)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchiveError, match="101 members"):
        unpack(packed({str(n): b"x" for n in range(101)}), tmp_path)


def test_a_cut_archive_is_one_error(tmp_path: Path) -> None:
    whole = packed({"a": bytes(range(256)) * 40})
    for size in (10, 40, len(whole) // 2, len(whole) - 1):
        with pytest.raises(BrokenArchiveError):
            unpack(whole[:size], tmp_path)


WHOLE = packed(MEMBERS)  # once: it holds the time of its making


@settings(max_examples=60)
@given(data=st.data())
def test_random_damage_never_raises_anything_else(data, tmp_path_factory) -> None:
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 10))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    root = tmp_path_factory.mktemp("7z")
    (root / "out").mkdir()
    found = {}
    try:
        found = unpack(bytes(whole), root / "out")
    except (BrokenArchiveError, UnsafeArchiveError):
        found = {}
    assert [path.name for path in root.iterdir()] == ["out"]
    assert sum(map(len, found.values())) <= BUDGET.size
