from pathlib import Path

import pytest

from towpath.errors import UnsupportedFormatError
from towpath.toolkit import CompressedFile

pytestmark = pytest.mark.usefixtures("hosting")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_text("a" * 5000)
    (folder / "deep" / "er" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "empty").mkdir()
    (folder / "link.txt").symlink_to(folder / "a.txt")
    (folder / "loop").symlink_to(folder)
    return folder


NAMES = ["archive.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.TAR.XZ"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_goes_into_an_archive_and_comes_out(name: str, folder: Path) -> None:
    archive = CompressedFile.from_directory(folder, name)
    assert archive.file_name == name
    assert archive.names() == ["a.txt", "deep/er/b.png", "link.txt"]
    assert [path.name for path in archive] == ["a.txt", "deep", "empty", "link.txt"]
    assert [path.read_text() for path in archive.glob("link.txt")] == ["a" * 5000]
    assert not any(path.is_symlink() for path in archive)


def test_a_folder_gives_the_archive_its_name(folder: Path) -> None:
    archive = CompressedFile.from_directory(folder)
    assert archive.file_name == "results.zip"
    assert archive.content_type == "application/zip"
    assert archive.file_size is not None
    assert archive.file_size < 5000


@pytest.mark.parametrize("name", NAMES)
def test_paths_go_under_their_names(name: str, folder: Path) -> None:
    archive = CompressedFile.from_paths([folder / "a.txt", folder / "deep"], name)
    assert archive.names() == ["a.txt", "deep/er/b.png"]


def test_what_cannot_be_packed_is_said_before_anything_is_stored(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        CompressedFile.from_paths([folder / "nothing"])
    with pytest.raises(ValueError, match="two of the paths are named"):
        CompressedFile.from_paths([folder / "a.txt", folder / "a.txt"])
    with pytest.raises(NotADirectoryError):
        CompressedFile.from_directory(folder / "a.txt")
    with pytest.raises(UnsupportedFormatError, match=r"\.zip"):
        CompressedFile.from_paths([folder / "a.txt"], "a.rar")


def test_one_member_is_opened_without_the_others(folder: Path) -> None:
    archive = CompressedFile.from_directory(folder)
    with archive.open_member("a.txt") as file:
        assert file.read() == b"a" * 5000
    with pytest.raises(FileNotFoundError, match=r"there is 'a\.txt'"):
        archive.open_member("a.text")
