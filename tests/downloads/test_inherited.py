"""Weights that the version before the ledger's second one brought are found, and no others."""

import hashlib
import json
from pathlib import Path

import pytest

from towpath.downloads import sources
from towpath.downloads.inherited import old_key_of
from towpath.downloads.sources import Opened
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_model_weights

pytestmark = pytest.mark.usefixtures("settings")
CONTENT = b"weights"
SHA = hashlib.sha256(CONTENT).hexdigest()


def old_state(data_dir: Path, url: str, old_key: str, *, etag: str | None = None) -> Path:
    """Write what commit 9e3a435 leaves after it brought CONTENT from *url*, to the letter."""
    path = data_dir / ".towpath" / "model_weights" / old_key / "w.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    facts = {
        "name": "w.bin",
        "size": len(CONTENT),
        "mtime_ns": path.stat().st_mtime_ns,
        "etag": etag,
        "last_modified": None,
        "sha256": SHA,
        "checked_at": 1.0,
        "unverified": False,
    }
    told = {"v": 1, "key": old_key, "url": url.partition("?")[0], "path": str(path), "facts": facts}
    ledger = data_dir / ".towpath" / "downloads" / old_key[0]
    ledger.mkdir(parents=True)
    (ledger / f"{old_key}.json").write_text(json.dumps(told))
    return path


@pytest.fixture
def server():
    """Answers every query with its own bytes; the validator is one for all files of one content."""

    def choose(exchange: Exchange) -> None:
        body = b"another" if exchange.seen.path.endswith("2") else CONTENT
        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if exchange.seen.headers.get("if-none-match") == etag:
            exchange.head("304 Not Modified", ETag=etag)
        else:
            exchange.answer(body, ETag=etag)

    with origin_of({"/w.bin": choose}) as origin:
        yield origin


ETAG = f'"{hashlib.md5(CONTENT).hexdigest()}"'


def key_in_the_old_way(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_weights_whose_key_is_the_same_cost_no_request(server, data_dir: Path) -> None:
    url = server.url("/w.bin")
    path = old_state(data_dir, url, key_in_the_old_way(url))
    assert download_model_weights(url) == path
    assert server.seen == []


@pytest.mark.parametrize("again", ["token=1", "token=3", "sr=1&sig=1", "X-Amz-Signature=1"])
def test_weights_under_an_old_key_are_asked_about_and_not_fetched(
    server, data_dir: Path, again: str
) -> None:
    """Trust T20: state of commit 9e3a435; the server says that it is the same content."""
    url = server.url("/w.bin")
    old = old_state(data_dir, url, key_in_the_old_way(url), etag=ETAG)
    path = download_model_weights(f"{url}?{again}")
    assert path != old
    assert path.samefile(old)
    assert [seen.headers.get("if-none-match") for seen in server.seen] == [ETAG]
    assert download_model_weights(f"{url}?{again}") == path
    assert len(server.seen) == 1


@pytest.mark.parametrize("etag", [None, ETAG, 'W/"1"', '"of the old one"'])
def test_weights_under_an_old_key_are_never_another_file(server, data_dir: Path, etag) -> None:
    """Trust T20: the key of token=1 and of token=2 was one."""
    url = server.url("/w.bin")
    old_state(data_dir, url, key_in_the_old_way(url), etag=etag)
    assert download_model_weights(f"{url}?token=2").read_bytes() == b"another"


def test_a_digest_is_proof_enough(server, data_dir: Path) -> None:
    url = server.url("/w.bin")
    old_state(data_dir, url, key_in_the_old_way(url))
    path = download_model_weights(f"{url}?token=1", sha256=SHA)
    assert path.read_bytes() == CONTENT
    assert server.seen == []


def test_what_was_fetched_with_headers_is_asked_about_with_them(server, data_dir: Path) -> None:
    """Trust T21: version 1 did not write down whose it was."""
    url = server.url("/w.bin")
    old = old_state(data_dir, url, key_in_the_old_way(url), etag=ETAG)
    path = download_model_weights(url, request_headers={"Authorization": "Bearer a"})
    assert path.samefile(old)
    assert server.seen[0].headers["authorization"] == "Bearer a"
    assert server.seen[0].headers["if-none-match"] == ETAG
    assert len(server.seen) == 1


def test_what_this_version_brought_is_not_inherited(server) -> None:
    """Trust T21: a copy without headers is no proof for a caller with some."""
    url = server.url("/w.bin")
    download_model_weights(url)
    download_model_weights(url, request_headers={"Authorization": "Bearer a"})
    assert "if-none-match" not in server.seen[1].headers


def test_a_url_that_was_written_down_whole_costs_no_request(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trust T20: version 1 lowered the case of hosts in every scheme; the URL tells."""

    class Never:
        schemes = frozenset({"ours"})

        def open(self, url: str, **_: object) -> Opened:
            raise AssertionError(url)

    monkeypatch.setattr(sources, "_registered", {})
    sources.register_source(Never())
    url = "ours://Org/w.bin"
    old = old_state(data_dir, url, key_in_the_old_way("ours://org/w.bin"))
    assert download_model_weights(url).samefile(old)
    with pytest.raises(AssertionError):
        download_model_weights("ours://org/w.bin?x=1")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://X.test:80/a?token=1&b=%20&b=ü#f", "http://x.test/a?b=+&b=%C3%BC"),
        ("https://x.test/a?b=%20", "https://x.test/a?b=%20"),
        ("hf://Org/m/a", "hf://org/m/a"),
        ("x", "x"),
    ],
)
def test_the_old_key_is_the_old_one(url: str, text: str) -> None:
    assert old_key_of(url) == key_in_the_old_way(text)


@pytest.mark.parametrize("url", ["http://[x]/", "http://x/?token=1&a=\ud800", "data:,x"])
def test_what_had_no_old_key_has_none(url: str) -> None:
    assert old_key_of(url) is None
