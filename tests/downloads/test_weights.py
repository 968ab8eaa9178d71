import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.downloads import signed
from tests.support.origin import Origin

from towpath.downloads import weights
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import (
    MODEL_WEIGHTS_DIR,
    PERSISTENT_DIR,
    download_file,
    download_model_weights,
)

pytestmark = pytest.mark.usefixtures("settings")
SHA = hashlib.sha256(b"weights").hexdigest()


def test_weights_lie_under_the_hash_of_their_url(origin: Origin, data_dir: Path) -> None:
    url = origin.put("/org/model/weights.bin", b"weights")
    path = download_model_weights(url)
    folder = data_dir / ".towpath" / "model_weights" / hashlib.sha256(url.encode()).hexdigest()
    assert path == folder / "weights.bin"
    assert path.read_bytes() == b"weights"


def test_the_folders_are_exported(data_dir: Path, settings) -> None:
    from towpath import toolkit

    assert data_dir == toolkit.PERSISTENT_DIR
    assert data_dir / ".towpath" / "model_weights" == toolkit.MODEL_WEIGHTS_DIR
    assert isinstance(PERSISTENT_DIR, Path)
    assert isinstance(MODEL_WEIGHTS_DIR, Path)


def test_a_repeated_call_makes_no_request(origin: Origin) -> None:
    url = origin.put("/w.bin", b"weights")
    assert download_model_weights(url) == download_model_weights(url)
    assert len(origin.seen) == 1


def test_a_repeated_call_is_answered_from_memory(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = origin.put("/remembered.bin", b"weights")
    path = download_model_weights(url)

    def bring(*_: object, **__: object) -> Path:
        pytest.fail("what is remembered was looked up on the disk")

    monkeypatch.setattr(weights, "bring", bring)
    assert download_model_weights(url) == path


def test_a_newly_signed_url_finds_what_is_here(origin: Origin) -> None:
    origin.put("/w.bin", b"weights")
    first = download_model_weights(signed(origin.url("/w.bin"), 1))
    assert download_model_weights(signed(origin.url("/w.bin"), 2)) == first
    assert download_model_weights(origin.url("/w.bin")) == first
    assert len(origin.seen) == 1


CALLS = {"weights": download_model_weights, "file": lambda url: download_file(url, "in")}


@pytest.mark.parametrize("name", ["token", "sr", "st", "auth", "policy", "sig", "Expires"])
@pytest.mark.parametrize("kind", CALLS)
def test_a_parameter_that_is_no_signature_selects_the_file(kind: str, name: str) -> None:
    """Trust T20: the files have one length and no validators."""
    call = CALLS[kind]

    def choose(exchange: Exchange) -> None:
        exchange.answer(b"file " + exchange.seen.path[-1:].encode())

    with origin_of({"/w.bin": choose}) as server:
        first = call(server.url(f"/w.bin?{name}=1"))
        second = call(server.url(f"/w.bin?{name}=2"))
        assert (first.read_bytes(), second.read_bytes()) == (b"file 1", b"file 2")
        assert len(server.seen) == 2


def test_force_downloads_again(origin: Origin) -> None:
    url = origin.put("/w.bin", b"old")
    download_model_weights(url)
    origin.put("/w.bin", b"new")
    assert download_model_weights(url, force=True).read_bytes() == b"new"


def test_weights_that_were_cut_on_disk_are_fetched_again(origin: Origin) -> None:
    url = origin.put("/w.bin", b"weights")
    path = download_model_weights(url)
    path.write_bytes(b"cut")
    assert download_model_weights(url).read_bytes() == b"weights"


def without_nanoseconds(path: Path) -> None:
    """Do to a file's time what tar does."""
    at = int(path.stat().st_mtime)
    os.utime(path, (at, at))


def far_away(path: Path) -> None:
    """Do to a file's time what a layer of an image does."""
    os.utime(path, (0, 0))


@pytest.mark.parametrize("move", [without_nanoseconds, far_away])
@pytest.mark.parametrize(
    "options", [{}, {"stale_if_error": True}, {"sha256": SHA}, {"patience": 1}]
)
def test_weights_that_were_moved_are_known_by_their_digest(origin: Origin, move, options) -> None:
    """Trust T22, offline too; their content is hashed once."""
    url = origin.put("/w.bin", b"weights")
    path = download_model_weights(url)
    move(path)
    origin.put("/w.bin", status=500)
    assert download_model_weights(url, **options) == path
    assert download_model_weights(url, **options).read_bytes() == b"weights"
    assert len(origin.seen) == 1


def test_moved_weights_that_are_old_are_asked_about_and_not_fetched(origin: Origin) -> None:
    """Trust T22, with max_age; and with an unreachable host."""
    url = origin.put("/w.bin", b"weights", etag='"1"')
    path = download_model_weights(url)
    without_nanoseconds(path)
    assert download_model_weights(url, max_age=0) == path
    assert origin.seen[1].headers["if-none-match"] == '"1"'
    without_nanoseconds(path)
    far_away(path)
    origin.put("/w.bin", status=503)
    assert download_model_weights(url, max_age=0, patience=1, stale_if_error=True) == path


@pytest.mark.parametrize("move", [without_nanoseconds, far_away])
def test_moved_weights_that_were_changed_are_fetched_again(origin: Origin, move) -> None:
    """Trust T22: equal in length, other in content."""
    url = origin.put("/w.bin", b"weights")
    path = download_model_weights(url)
    path.write_bytes(b"we1ghts")
    move(path)
    assert download_model_weights(url).read_bytes() == b"weights"
    assert len(origin.seen) == 2


def test_a_moved_file_with_a_known_digest_is_known_by_it(origin: Origin) -> None:
    """Trust T22: what download_file hashed is found again as well."""
    url = origin.put("/a.bin", b"weights", etag='"1"')
    path = download_file(url, "in", sha256=SHA)
    without_nanoseconds(path)
    assert download_file(url, "in", sha256=SHA) == path
    assert len(origin.seen) == 1
    far_away(path)
    assert download_file(url, "in") == path
    assert origin.seen[1].headers["if-none-match"] == '"1"'


def test_many_who_find_moved_weights_make_no_request(origin: Origin) -> None:
    """Trust T22: in threads, one of which hashes."""
    url = origin.put("/w.bin", b"weights" * 100_000)
    path = download_model_weights(url)
    without_nanoseconds(path)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(download_model_weights, [url] * 8)) == {path}
    assert len(origin.seen) == 1


def test_weights_of_the_toolkit_that_users_come_from_are_used_as_they_are(
    origin: Origin, data_dir: Path
) -> None:
    url = origin.put("/w.bin", b"remote")
    old = data_dir / ".fal" / "model_weights" / hashlib.sha256(url.encode()).hexdigest()
    old.mkdir(parents=True)
    (old / "w.bin").write_bytes(b"local")
    assert download_model_weights(url) == old / "w.bin"
    assert origin.seen == []
