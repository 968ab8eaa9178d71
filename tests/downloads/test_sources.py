"""Sources beside http: registered ones, the hub, object stores."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.origin import Origin

from towpath.downloads import sources
from towpath.downloads.hub_source import hub_request, is_pinned
from towpath.errors import DigestError, InvalidURLError, SourceUnavailableError
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import (
    Head,
    Opened,
    Source,
    download_file,
    download_model_weights,
    register_source,
)

pytestmark = pytest.mark.usefixtures("settings")
DATA = os.urandom(20 * 2**20)


class Memory:
    """Serves bytes by parts, and breaks now and then."""

    schemes = frozenset({"mem"})

    def __init__(self) -> None:
        self.asked: list[tuple[int, int | None]] = []
        self.breaks = 1

    @contextmanager
    def open(self, url, *, headers, start=0, stop=None, validator=None) -> Iterator[Opened]:
        self.asked.append((start, stop))
        assert validator in {None, '"v"'}

        def chunks() -> Iterator[bytes]:
            for at in range(start, stop or len(DATA), 100_000):
                if self.breaks and at > 3_000_000:
                    self.breaks -= 1
                    raise ConnectionResetError
                yield DATA[at : min(at + 100_000, stop or len(DATA))]

        yield Opened(Head(url, "mem.bin", len(DATA), etag='"v"', ranges=True), chunks, start=start)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(sources, "_registered", {})
    source: Source = Memory()
    register_source(source)
    return source


def test_a_source_of_ones_own_is_used_like_the_others(memory: Memory) -> None:
    with pytest.raises(InvalidURLError, match="sources="):
        download_file("mem://x", "in")
    assert download_file("mem://x", "in", sources={"mem"}).read_bytes() == DATA
    assert len(memory.asked) >= 2
    assert memory.asked[1][0] > 0


def test_weights_may_come_from_any_source(memory: Memory) -> None:
    assert download_model_weights("mem://y").read_bytes() == DATA


@pytest.mark.parametrize("scheme", ["http", "https", "data", "file", "UPPER"])
def test_some_schemes_cannot_be_replaced(scheme: str) -> None:
    class Bad(Memory):
        schemes = frozenset({scheme})

    with pytest.raises(InvalidURLError):
        register_source(Bad())


def test_a_source_that_only_breaks_is_unavailable(memory: Memory) -> None:
    memory.breaks = 10**6
    with pytest.raises(SourceUnavailableError):
        download_file("mem://x", "in", sources={"mem"}, patience=1)


# --- the hub ---


@pytest.mark.parametrize(
    ("url", "path", "name"),
    [
        ("hf://org/repo/w.bin", "/org/repo/resolve/main/w.bin", "w.bin"),
        ("hf://org/repo@v1.0/a/w.bin", "/org/repo/resolve/v1.0/a/w.bin", "w.bin"),
        ("hf://org/my.repo-x@refs%2Fpr%2F1/w", "/org/my.repo-x/resolve/refs%2Fpr%2F1/w", "w"),
        ("hf://datasets/org/repo/d.csv", "/datasets/org/repo/resolve/main/d.csv", "d.csv"),
        ("hf://org/repo/a b.bin", "/org/repo/resolve/main/a%20b.bin", "a b.bin"),
    ],
)
def test_hub_urls_name_a_file_of_a_repository(monkeypatch, url: str, path: str, name: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.test/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    got, headers, got_name = hub_request(url)
    assert got == f"https://hub.test{path}"
    assert headers == {"authorization": "Bearer hf_secret"}
    assert got_name == name


@pytest.mark.parametrize("url", ["hf://x", "hf://org/repo", "hf://org/repo/", "hf://org/repo/../x"])
def test_other_forms_are_refused(url: str) -> None:
    with pytest.raises(InvalidURLError, match="hf://org/repo"):
        hub_request(url)


def test_the_token_comes_from_its_file(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hub_request("hf://org/repo/x")[1] == {}
    (tmp_path / "token").write_text("from_file\n")
    assert hub_request("hf://org/repo/x")[1] == {"authorization": "Bearer from_file"}


def test_a_commit_is_pinned() -> None:
    assert is_pinned(f"hf://org/repo@{'a' * 40}/x")
    assert not is_pinned("hf://org/repo@main/x")
    assert not is_pinned("https://x.test/a")


def test_the_hub_says_the_digest_and_gets_no_token_beyond_itself(monkeypatch) -> None:
    body = b"weights of the hub"
    with Origin() as cdn:
        stored = cdn.put("/blob", body)

        def resolve(exchange: Exchange) -> None:
            digest = hashlib.sha256(said).hexdigest()
            exchange.answer(b"", "302 Found", Location=stored, X_Linked_Etag=f'"{digest}"')

        with origin_of({"/org/repo/resolve/main/w.bin": resolve}) as hub:
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.port}")
            monkeypatch.setenv("HF_TOKEN", "hf_secret")
            said = body
            path = download_model_weights("hf://org/repo/w.bin")
            assert path.name == "w.bin"
            assert path.read_bytes() == body
            assert hub.seen[0].headers["authorization"] == "Bearer hf_secret"
            assert "authorization" not in cdn.seen[0].headers
            said = b"something else"
            with pytest.raises(DigestError):
                download_model_weights("hf://org/repo/w.bin", force=True)


def test_a_file_of_a_commit_is_asked_for_once(monkeypatch) -> None:
    commit = "a" * 40
    with Origin() as hub:
        hub.put(f"/org/repo/resolve/{commit}/w.bin", b"w")
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.port}")
        monkeypatch.setenv("HF_TOKEN", "")
        url = f"hf://org/repo@{commit}/w.bin"
        path = download_file(url, "in", sources={"hf"})
        assert download_file(url, "in", sources={"hf"}) == path
        assert len(hub.seen) == 1
