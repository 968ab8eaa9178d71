"""Trust T51: a file of our own store comes to the disk without a copy."""

import os
from pathlib import Path

import pytest

from towpath.context import ProcessPlaces, set_places
from towpath.errors import FileTooLargeError
from towpath.files import fetching
from towpath.files.fetching import local_copy
from towpath.storage.entries import is_cloned
from towpath.storage.hosting import Hosting
from towpath.temporaries import Keeper, keeping
from towpath.toolkit import File

SIZE = fetching._LEAST_SHARED


@pytest.fixture
def large(hosting: Hosting, tmp_path: Path) -> File:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return File.from_path(path, move=True)


@pytest.fixture
def base(tmp_path: Path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    set_places(ProcessPlaces(temp=folder))
    yield folder
    set_places(ProcessPlaces())


def clones(folder: Path) -> bool:
    (folder / "whole").write_bytes(b"x" * 4096)
    with (folder / "whole").open("rb") as source:
        return is_cloned(source, folder / "clone")


def test_a_large_file_of_our_own_is_linked_or_cloned(
    large: File, hosting: Hosting, base: Path, tmp_path: Path
) -> None:
    """Trust T51: it was copied (10 GiB: 46 s, twice the disk)."""
    path = large.to_path()
    blob = hosting.store.blobs.blob(hosting.id_in(large.url))
    assert (path.name, path.stat().st_size) == ("large.bin", SIZE)
    assert path.samefile(blob) or clones(tmp_path)


def test_it_goes_with_its_owner_and_the_stored_file_stays(
    large: File, hosting: Hosting, base: Path
) -> None:
    with Keeper() as keeper, keeping(keeper):
        path = File(url=large.url).to_path()
        assert path.exists()
    assert not path.exists()
    assert File(url=large.url).to_path().stat().st_size == SIZE


def test_a_small_file_is_a_copy_that_may_be_written_to(hosting: Hosting, base: Path) -> None:
    file = File.from_bytes(b"content", file_name="a.txt")
    path = File(url=file.url).to_path()
    path.write_bytes(b"changed")
    assert File(url=file.url).as_bytes() == b"content"


def test_the_limit_of_a_field_holds_for_our_own_files(large: File, base: Path) -> None:
    assert local_copy(large.url, SIZE).stat().st_size == SIZE
    with pytest.raises(FileTooLargeError):
        local_copy(large.url, SIZE - 1)


def test_a_path_below_a_mount_of_our_own_has_another_one(tmp_path: Path) -> None:
    """Trust T51: link(2) refuses two mounts of one disk."""
    inside, outside = tmp_path / "tmp", tmp_path / "outside"
    outside.mkdir()
    (outside / "a").touch()
    inside.symlink_to(outside)  # stands for the mount
    places = ProcessPlaces(tmp_mount=(inside, outside))
    assert places.true_path(inside / "a") == outside / "a"
    assert places.true_path(inside / "new") == outside / "new"
    assert places.true_path(inside / "none" / "a") == inside / "none" / "a"
    assert places.true_path(tmp_path / "b") == tmp_path / "b"
    assert ProcessPlaces().true_path(inside / "a") == inside / "a"


def test_a_name_that_points_elsewhere_is_left_alone(tmp_path: Path) -> None:
    """What is mounted below `/tmp` for this process is not in the folder that `/tmp` is."""
    for folder in ("tmp/mounted", "outside/mounted"):
        (tmp_path / folder).mkdir(parents=True)
    places = ProcessPlaces(tmp_mount=(tmp_path / "tmp", tmp_path / "outside"))
    path = tmp_path / "tmp" / "mounted" / "a"
    assert places.true_path(path) == path
    assert os.fspath(path) == str(places.true_path(path))
