from pathlib import Path

import pytest

from towpath.downloads.places import canonical, key_of, target_folder

DATA = Path("/srv/towpath")
TEMP = Path("/srv/towpath/.towpath/state/runners/1-1/tmp")


@pytest.mark.parametrize(
    ("target", "folder"),
    [
        ("models/", "/srv/towpath/models"),
        ("", "/srv/towpath"),
        ("/data/inputs", "/srv/towpath/inputs"),
        ("/data", "/srv/towpath"),
        ("/database", "/database"),
        ("/tmp/inputs", f"{TEMP}/inputs"),
        ("/tmp", f"{TEMP}"),
        ("/home/me/x", "/home/me/x"),
        (f"{TEMP}/x", f"{TEMP}/x"),
    ],
)
def test_the_seeds_folders_mean_ours(target: str, folder: str) -> None:
    assert target_folder(target, data_dir=DATA, temp=TEMP) == Path(folder)


def test_a_data_directory_below_tmp_stays_where_it_is() -> None:
    data = Path("/tmp/pytest/data")
    assert target_folder("x", data_dir=data, temp=None) == data / "x"
    assert target_folder(str(data / "x"), data_dir=data, temp=None) == data / "x"


def test_data_is_itself_where_it_exists() -> None:
    assert target_folder("/data/x", data_dir=Path("/data"), temp=None) == Path("/data/x")


SIGNED = "https://x.test/a?Expires={0}&Signature=s{0}&Key-Pair-Id=k"


@pytest.mark.parametrize(
    ("url", "other"),
    [
        (SIGNED.format(1), SIGNED.format(2)),
        (SIGNED.format(1) + "&v=2", "https://x.test/a?v=2"),
        ("https://X.test:443/a#f", "https://x.test/a"),
        ("HTTP://x.test:80", "http://x.test/"),
    ],
)
def test_two_spellings_of_one_file_have_one_key(url: str, other: str) -> None:
    assert key_of(url) == key_of(other)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://x.test/a", "https://x.test/b"),
        ("https://x.test/a?v=1", "https://x.test/a?v=2"),
        ("https://x.test/a?v=%FF", "https://x.test/a?v=%FE"),
        ("https://x.test/a?token=1", "https://x.test/a?token=2"),
        ("https://x.test/a", "https://x.test:8443/a"),
        ("https://x.test/A", "https://x.test/a"),
        ("ipfs://QmAbC/a", "ipfs://qmabc/a"),
        ("hf://Org/model/a", "hf://org/model/a"),
        ("own://x/a#1", "own://x/a#2"),
        ("http://[x]/", "http://[y]/"),
    ],
)
def test_other_urls_have_other_keys(url: str, other: str) -> None:
    """Trust T20: what two callers share is one file."""
    assert key_of(url) != key_of(other)


def test_askers_with_other_headers_have_other_keys() -> None:
    """Trust T21."""
    url, folder = "https://x.test/a", Path("/a")
    plain, alice = key_of(url, folder), key_of(url, folder, headers={"Authorization": "alice"})
    assert key_of(url, folder, headers={}) == plain
    assert key_of(url, folder, headers={"authorization": "alice"}) == alice
    assert len({plain, alice, key_of(url, folder, headers={"Authorization": "bob"})}) == 3
    assert key_of(url, headers={"X-A": "1", "X-B": "2"}) == key_of(
        url, headers={"X-B": "2", "x-a": "1"}
    )
    assert key_of(url, headers={"X-A": '1", "x-b": "2'}) != key_of(
        url, headers={"X-A": "1", "X-B": "2"}
    )
    assert key_of(url, headers={"Traceparent": "00-1"}) == key_of(url)
    assert key_of("data:,x", headers={"X-A": "1"}) == key_of("data:,x")


def test_the_same_url_in_another_folder_is_another_download() -> None:
    url = "https://x.test/a"
    assert key_of(url, Path("/a")) != key_of(url, Path("/b"))
    assert canonical("data:,x#y") == "data:,x#y"
