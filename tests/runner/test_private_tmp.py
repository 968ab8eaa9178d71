"""What is seen in a `/tmp` of a runner's own (trust T46)."""

import os
from pathlib import Path

import pytest

from towpath.runner.private_tmp import is_tmp, kept_below


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for `/tmp`; the working folder is `work` in it."""
    folder = (tmp_path / "old").resolve()
    for name in ("work/inner", "x", "data/state", "real/deep"):
        (folder / name).mkdir(parents=True)
    (folder / "x" / "app.py").touch()
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / "link").symlink_to("real")
    (folder / "far").symlink_to(folder / "link" / "deep")
    (folder / "out").symlink_to(outside)
    (outside / "back").symlink_to(folder / "x")
    (folder / "work" / "up").symlink_to("../data")
    (folder / "ring").symlink_to("ring")
    monkeypatch.chdir(folder / "work")
    return folder


@pytest.mark.parametrize(
    ("needed", "places", "links"),
    [
        (["../x/app.py"], ["x/app.py"], []),
        (["../x"], ["x"], []),
        ([".", "../x/../data"], ["data", "work"], []),
        (["inner/../../x"], ["x"], []),
        ([".", "inner"], ["work"], []),
        (["../link"], ["real"], ["link"]),
        (["../link/deep"], ["real/deep"], ["link"]),
        (["../far"], ["real/deep"], ["far", "link"]),
        (["up/state"], ["data/state"], ["work/up"]),
        ([".", "up/state"], ["data/state", "work"], []),
        (["../out"], [], ["out"]),
        (["../out/back/app.py"], ["x/app.py"], ["out"]),
        (["../nowhere", "../ring", "/"], [], []),
        (["../link/../x"], ["x"], ["link"]),
    ],
)
def test_trust_t46_names_are_followed_to_their_places(
    old: Path, needed: list[str], places: list[str], links: list[str]
) -> None:
    kept = kept_below(old, map(Path, needed))
    assert [str(path.relative_to(old)) for path in kept.places] == places
    assert sorted(str(link.relative_to(old)) for link, _ in kept.links) == links
    assert all(os.readlink(link) == said for link, said in kept.links)  # noqa: PTH115 - as it says


def test_trust_t46_the_whole_folder_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/tmp")
    assert is_tmp(tmp_path / "link" / ".." / "tmp")
    assert not is_tmp(tmp_path)
