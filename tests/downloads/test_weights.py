import hashlib
from pathlib import Path

import pytest
from tests.support.origin import Origin

from towpath.toolkit import MODEL_WEIGHTS_DIR, PERSISTENT_DIR, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")


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


def test_a_newly_signed_url_finds_what_is_here(origin: Origin) -> None:
    origin.put("/w.bin", b"weights")
    first = download_model_weights(origin.url("/w.bin?X-Amz-Signature=1"))
    assert download_model_weights(origin.url("/w.bin?X-Amz-Signature=2")) == first
    assert len(origin.seen) == 1


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


def test_weights_of_the_toolkit_that_users_come_from_are_used_as_they_are(
    origin: Origin, data_dir: Path
) -> None:
    url = origin.put("/w.bin", b"remote")
    old = data_dir / ".fal" / "model_weights" / hashlib.sha256(url.encode()).hexdigest()
    old.mkdir(parents=True)
    (old / "w.bin").write_bytes(b"local")
    assert download_model_weights(url) == old / "w.bin"
    assert origin.seen == []
