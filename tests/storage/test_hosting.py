from pathlib import Path

import pytest

from towpath import settings as settings_room
from towpath.storage.hosting import Hosting, current_hosting, hosting_of
from towpath.storage.staging import NewFile

FILE_ID = "a" * 32


def test_a_saved_file_has_a_url_with_its_extension(hosting: Hosting) -> None:
    record, url = hosting.save(NewFile(b"x", "My photo.PNG", "image/png"))
    assert url == f"http://127.0.0.1:8000/files/{record.id}/My-photo.png"
    assert hosting.id_in(url) == record.id


@pytest.mark.parametrize(
    ("url", "own"),
    [
        (f"http://127.0.0.1:8000/files/{FILE_ID}/x.png", True),
        (f"http://localhost:8000/files/{FILE_ID}/x.png?download=1", True),
        (f"http://[::1]:8000/files/{FILE_ID}/x.png", True),
        (f"http://127.0.0.1:8001/files/{FILE_ID}/x.png", False),
        (f"https://127.0.0.1:8000/files/{FILE_ID}/x.png", False),
        (f"http://127.0.0.1:8000.evil.test/files/{FILE_ID}/x.png", False),
        (f"http://127.0.0.1:8000@evil.test/files/{FILE_ID}/x.png", False),
        ("http://127.0.0.1:8000/files/short/x.png", False),
        ("http://127.0.0.1:8000/health", False),
    ],
)
def test_our_own_urls_are_known_in_every_spelling_of_loopback(
    tmp_path: Path, url: str, own: bool
) -> None:
    hosting = hosting_of(settings_room.load(data_dir=tmp_path))
    assert (hosting.id_in(url) is not None) is own


def test_a_public_server_knows_only_its_public_url(tmp_path: Path) -> None:
    settings = settings_room.load(
        data_dir=tmp_path, host="0.0.0.0", keys="a:b", public_url="https://files.test/base/"
    )
    hosting = hosting_of(settings)
    assert hosting.id_in(f"https://files.test/base/files/{FILE_ID}/x") == FILE_ID
    assert hosting.id_in(f"http://127.0.0.1:8000/files/{FILE_ID}/x") is None


def test_a_plain_script_has_a_store_only_when_the_settings_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from towpath.storage import hosting as room

    monkeypatch.setattr(room._Process, "hosting", None)
    with settings_room.using(settings_room.load(data_dir=tmp_path)):
        assert current_hosting() is None
    named = settings_room.load(
        data_dir=tmp_path, store=(tmp_path / "s").as_uri(), public_url="http://x.test"
    )
    with settings_room.using(named):
        hosting = current_hosting()
        assert hosting is not None
        assert hosting.url == "http://x.test"
