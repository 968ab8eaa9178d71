"""How entries of the store come to their folders."""

import os
import stat
from pathlib import Path

from towpath.storage.entries import moved


def test_a_file_is_moved_into_a_folder_that_is_made_for_its_group_to_list(tmp_path: Path) -> None:
    """The first one has the folder made; both say what is to be synced."""
    folder = tmp_path / "ab"
    before = os.umask(0)
    try:
        (tmp_path / "draft").write_bytes(b"x")
        assert moved(tmp_path / "draft", str(folder), "a") == [str(tmp_path), str(folder)]
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    (tmp_path / "draft").write_bytes(b"y")
    assert moved(tmp_path / "draft", str(folder), "b") == [str(folder)]
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
