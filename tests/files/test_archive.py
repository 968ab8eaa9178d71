import gc
import io
import zipfile

import pytest

from towpath import settings as settings_room
from towpath.errors import BrokenArchiveError, UnsafeArchiveError
from towpath.media.data_uri import write
from towpath.toolkit import CompressedFile


def packed(members: dict[str, bytes], **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def archive_of(members: dict[str, bytes]) -> CompressedFile:
    return CompressedFile(url=write(packed(members), "application/zip"))


def test_iterating_yields_the_top_level_in_order(hosting) -> None:
    archive = archive_of({"b.txt": b"2", "a.txt": b"1", "folder/c.txt": b"3"})
    assert [path.name for path in archive] == ["a.txt", "b.txt", "folder"]
    assert [path.read_bytes() for path in archive.glob("*.txt")] == [b"1", b"2"]
    assert [path.name for path in archive.glob("**/*.txt")] == ["a.txt", "b.txt", "c.txt"]


def test_the_folder_goes_when_the_object_does(hosting) -> None:
    archive = archive_of({"a.txt": b"1"})
    [path] = archive
    assert path.exists()
    del archive
    gc.collect()
    assert not path.exists()


def test_an_iterator_keeps_the_folder_alive(hosting) -> None:
    paths = archive_of({"a.txt": b"1", "b.txt": b"2"}).glob("*.txt")
    gc.collect()
    assert next(paths).read_bytes() == b"1"
    gc.collect()
    assert next(paths).read_bytes() == b"2"


def test_it_is_a_context_manager_and_may_be_used_again(hosting) -> None:
    with archive_of({"a.txt": b"1"}) as archive:
        [path] = archive
    assert not path.exists()
    assert [p.read_bytes() for p in archive] == [b"1"]
    archive.close()
    archive.close()


@pytest.mark.parametrize("data", [b"", b"not a zip", packed({"a": b"x" * 999})[:-40]])
def test_what_is_not_a_whole_zip_is_one_error(data: bytes, hosting) -> None:
    archive = CompressedFile(url=write(data, "application/zip"))
    with pytest.raises(BrokenArchiveError):
        list(archive)


def test_the_limits_are_settings(hosting, data_dir) -> None:
    archive = archive_of({"a": b"1", "b": b"2"})
    own = settings_room.load(data_dir=data_dir, archive_max_entries=1)
    with settings_room.using(own), pytest.raises(UnsafeArchiveError, match="limit is 1"):
        list(archive)
