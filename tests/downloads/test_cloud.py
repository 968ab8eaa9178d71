"""Object stores: a real S3 server, started by the test."""

import os
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store
from tests.support.weed import weed

from towpath.downloads import cloud_source
from towpath.errors import InvalidURLError, SourceStatusError, SourceUnavailableError
from towpath.toolkit import download_file, download_model_weights

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]
DATA = os.urandom(20 * 2**20)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    with weed(tmp_path_factory.mktemp("weed"), "models") as server:
        yield server.client()


@pytest.fixture(autouse=True)
def our_store(store: S3Store, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_source, "_store", lambda _scheme, _bucket: store)


def test_an_object_is_brought_by_parts(store: S3Store, data_dir: Path) -> None:
    obstore.put(store, "dir/weights.bin", DATA)
    path = download_model_weights("s3://models/dir/weights.bin")
    assert path.name == "weights.bin"
    assert path.read_bytes() == DATA


def test_an_unchanged_object_costs_no_body(store: S3Store) -> None:
    obstore.put(store, "a b.txt", b"hello")
    path = download_file("s3://models/a%20b.txt", "in", sources={"s3"})
    assert path.name == "a b.txt"
    before = path.stat()
    assert download_file("s3://models/a%20b.txt", "in", sources={"s3"}) == path
    assert path.stat() == before
    obstore.put(store, "a b.txt", b"other")
    assert download_file("s3://models/a%20b.txt", "in", sources={"s3"}).read_bytes() == b"other"


def test_what_is_not_there_is_a_404(store: S3Store) -> None:
    with pytest.raises(SourceStatusError) as caught:
        download_model_weights("s3://models/nothing")
    assert caught.value.status == 404


def test_a_part_of_another_version_is_refused(store: S3Store) -> None:
    obstore.put(store, "v", b"0123456789")
    source = cloud_source.CloudSource()
    with source.open("s3://models/v", headers={}) as opened:
        etag = opened.head.etag
    with source.open("s3://models/v", headers={}, start=2, stop=5, validator=etag) as opened:
        assert opened.start == 2
        assert opened.head.size == 10
        assert b"".join(map(bytes, opened.chunks())) == b"234"
    obstore.put(store, "v", b"abcdefghij")
    with (
        pytest.raises(SourceStatusError) as caught,
        source.open("s3://models/v", headers={}, start=2, validator=etag),
    ):
        pass
    assert caught.value.status == 412


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3:///key", "s3://b/k?x=1", "s3://user:secret@b/k"]
)
def test_urls_that_name_no_object_are_refused(url: str) -> None:
    with pytest.raises(InvalidURLError) as caught:
        download_model_weights(url)
    assert "secret" not in str(caught.value)


def test_caller_headers_are_refused() -> None:
    with pytest.raises(InvalidURLError, match="request_headers"):
        download_model_weights("s3://models/x", request_headers={"A": "b"})


def test_a_store_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = S3Store(
        "m",
        endpoint="http://127.0.0.1:9",
        region="x",
        skip_signature=True,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    monkeypatch.setattr(cloud_source, "_store", lambda _scheme, _bucket: dead)
    with pytest.raises(SourceUnavailableError):
        download_model_weights("s3://m/x", patience=1)
