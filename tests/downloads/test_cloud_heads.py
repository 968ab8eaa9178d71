"""What an object store says of an object; with stores in memory, so that no server is needed."""

from typing import Any

import pytest
from obstore.store import MemoryStore

from towpath.downloads import cloud_source
from towpath.downloads.cloud_source import CloudSource


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    memory = MemoryStore()
    monkeypatch.setattr(cloud_source, "_store", lambda _scheme, _bucket: memory)
    return memory


class Renamed:
    """A result whose metadata holds another ETag."""

    def __init__(self, result: Any, etag: str | None) -> None:
        self._result = result
        self.meta = {**result.meta, "e_tag": etag}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)


@pytest.mark.parametrize(
    ("stored", "told"), [('"a"', '"a"'), ('W/"a"', 'W/"a"'), ("a", '"a"'), (None, None)]
)
def test_an_etag_is_quoted_as_http_has_it(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, stored: str | None, told: str | None
) -> None:
    """Stores give ETags with and without quotes; conditions compare them (RFC 9110 8.8.3)."""
    store.put("dir/a.bin", b"content")
    got = cloud_source._got
    monkeypatch.setattr(cloud_source, "_got", lambda *args: Renamed(got(*args), stored))
    with CloudSource().open("s3://models/dir/a.bin", headers={}) as opened:
        assert opened.head.etag == told
        assert opened.head.name == "a.bin"
        assert opened.head.size == 7
        assert b"".join(bytes(piece) for piece in opened.chunks()) == b"content"
