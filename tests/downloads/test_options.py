"""What a call may say beside its main arguments, and what the cache makes of it."""

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest
from tests.support.downloads import everything_in
from tests.support.origin import Origin

from towpath import settings as settings_room
from towpath.errors import (
    BadResponseError,
    DigestError,
    DiskFullError,
    DownloadError,
    FileTooLargeError,
    InvalidURLError,
    SourceStatusError,
    SourceUnavailableError,
)
from towpath.toolkit import download_file, download_model_weights

pytestmark = pytest.mark.usefixtures("settings")
SHA = hashlib.sha256(b"content").hexdigest()


# --- digests ---


def test_a_digest_makes_the_repeat_free(origin: Origin) -> None:
    url = origin.put("/a", b"content", etag='"1"')
    first = download_file(url, "in", sha256=SHA)
    assert download_file(url, "in", sha256=SHA.upper()) == first
    assert download_file(url, "in", sha256=SHA) == first
    assert len(origin.seen) == 1


def test_another_content_is_refused_and_an_older_file_stays(origin: Origin, data_dir: Path) -> None:
    url = origin.put("/a", b"content", etag='"1"')
    path = download_file(url, "in", sha256=SHA)
    origin.put("/a", b"changed", etag='"2"')
    with pytest.raises(DigestError):
        download_file(url, "in", sha256=SHA, force=True)
    assert path.read_bytes() == b"content"
    assert everything_in(data_dir / "in") == ["a"]


def test_a_copy_without_a_known_digest_is_hashed_once(origin: Origin) -> None:
    url = origin.put("/a", b"content", etag='"1"')
    path = download_file(url, "in")
    assert download_file(url, "in", sha256=SHA) == path
    assert len(origin.seen) == 1


def test_a_copy_with_another_digest_is_fetched_again(origin: Origin) -> None:
    url = origin.put("/a", b"older..", etag='"1"')
    download_file(url, "in")
    origin.put("/a", b"content", etag='"2"')
    assert download_file(url, "in", sha256=SHA).read_bytes() == b"content"


def test_a_file_that_we_know_nothing_of_is_not_taken_for_it(origin: Origin, data_dir: Path) -> None:
    (data_dir / "in").mkdir(parents=True)
    (data_dir / "in" / "a").write_bytes(b"unknown")
    assert download_file(origin.put("/a", b"content"), "in", sha256=SHA).read_bytes() == b"content"


def same_times(path: Path, content: bytes) -> None:
    """Change a file so that neither size nor time tells."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_verify_hashes_the_copy_again(origin: Origin) -> None:
    url = origin.put("/a", b"content", etag='"1"')
    path = download_file(url, "in", sha256=SHA)
    same_times(path, b"c0ntent")
    assert download_file(url, "in", sha256=SHA, verify=True).read_bytes() == b"content"
    weights = download_model_weights(url)
    same_times(weights, b"c0ntent")
    assert download_model_weights(url).read_bytes() == b"c0ntent"
    assert download_model_weights(url, verify=True).read_bytes() == b"content"


# --- age and unreachable hosts ---


def test_weights_are_asked_about_when_they_are_old(origin: Origin) -> None:
    url = origin.put("/w", b"one", etag='"1"')
    path = download_model_weights(url)
    assert download_model_weights(url, max_age=3600) == path
    assert len(origin.seen) == 1
    assert download_model_weights(url, max_age=0) == path
    assert origin.seen[1].headers["if-none-match"] == '"1"'
    origin.put("/w", b"two", etag='"2"')
    assert download_model_weights(url, max_age=0).read_bytes() == b"two"


def test_a_copy_is_good_enough_when_the_caller_says_so(origin: Origin) -> None:
    url = origin.put("/a", b"content", etag='"1"')
    path = download_file(url, "in")
    origin.put("/a", status=503)
    with pytest.raises(SourceStatusError):
        download_file(url, "in", patience=1)
    assert download_file(url, "in", patience=1, stale_if_error=True) == path
    origin.put("/a", status=404)
    with pytest.raises(SourceStatusError):
        download_file(url, "in", patience=1, stale_if_error=True)


def test_last_modified_spares_the_body_too(origin: Origin) -> None:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"
    url = origin.put("/a", b"content", headers={"Last-Modified": date})
    path = download_file(url, "in")
    assert download_file(url, "in") == path
    assert origin.seen[1].headers["if-modified-since"] == date


# --- weights that are none ---


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("w.bin", b"<html>sign in</html>", "text/html; charset=utf-8"),
        ("w.safetensors", b"not at all safe", "application/octet-stream"),
        ("w.safetensors", b"\xff" * 7 + b"\x00{", "application/octet-stream"),
        ("w.gguf", b"GGML....", "application/octet-stream"),
        ("w.npz", b"nothing.", "application/octet-stream"),
    ],
)
def test_a_page_or_another_format_is_not_taken_for_weights(
    origin: Origin, data_dir: Path, name: str, body: bytes, kind: str
) -> None:
    url = origin.put(f"/{name}", body, headers={"Content-Type": kind})
    with pytest.raises(BadResponseError):
        download_model_weights(url)
    assert everything_in(data_dir / ".towpath" / "model_weights") == []


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("w.safetensors", (2).to_bytes(8, "little") + b"{}"),
        ("w.gguf", b"GGUF...."),
        ("w.npz", b"PK\x03\x04"),
        ("page.html", b"<html>"),
    ],
)
def test_what_is_what_its_name_says_is_taken(origin: Origin, name: str, body: bytes) -> None:
    kind = "text/html" if name.endswith("html") else "application/octet-stream"
    url = origin.put(f"/{name}", body, headers={"Content-Type": kind})
    assert download_model_weights(url).read_bytes() == body


# --- options that cannot be meant ---


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"sha256": "abc"}, ValueError, "64 hex"),
        ({"connections": 0}, ValueError, "connections=0"),
        ({"patience": 0}, ValueError, "patience=0"),
        ({"deadline": -1}, ValueError, "deadline=-1"),
        ({"filesize_limit": -1}, ValueError, "negative"),
        ({"filesize_limit": float("nan")}, ValueError, "nan"),
        ({"sha265": SHA}, TypeError, "no download option 'sha265'"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(options, error, word: str) -> None:
    with pytest.raises(error, match=word):
        download_file("http://127.0.0.1/x", "in", **options)


def test_a_hit_is_not_larger_than_the_limit(origin: Origin) -> None:
    url = origin.put("/w", b"x" * (2**20 + 1))
    download_model_weights(url)
    with pytest.raises(FileTooLargeError):
        download_model_weights(url, filesize_limit=1)


# --- disks and names ---


def test_a_disk_that_fills_up_midway_is_named(
    origin: Origin, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    url = origin.put("/a", b"x" * 100_000)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFullError, match="Free some space") as caught:
        download_file(url, "in")
    assert caught.value.need == 100_000
    assert everything_in(data_dir / "in") == []


def test_a_read_only_folder_is_named(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refused(path, flags, *rest, **more):
        if str(path).endswith(".part"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(DownloadError, match=r"Read-only file system.*target_dir"):
        download_file(origin.put("/a", b"x"), tmp_path / "there")


def test_a_folder_on_another_file_system_is_no_different(origin: Origin) -> None:
    folder = Path("/dev/shm") / f"towpath-{time.monotonic_ns()}"
    try:
        path = download_file(origin.put("/a", b"x"), folder)
        assert path == folder / "a"
        assert everything_in(folder) == ["a"]
    finally:
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f'attachment; filename="{"n" * 4096}.bin"', "n" * 251 + ".bin"),
        (f"attachment; filename*=UTF-8''{'%C3%A4' * 1365}.png", None),
        ('attachment; filename="a\\"b.bin"', "a_b.bin"),
        ("attachment; filename*=UTF-8''..%2Fna%C3%AFve%00.txt", "naïve.txt"),
        ("attachment; filename=\"plain.bin\"; filename*=UTF-8''%E2%82%AC.bin", "€.bin"),
        ("attachment; filename=\"plain.bin\"; filename*=x-none''%80.bin", "plain.bin"),
        ('attachment; filename="..\\\\..\\\\C:\\\\evil.exe"', "evil.exe"),
        ('attachment; filename=".meta.json"', "_.meta.json"),
        ('attachment; filename="-rf"', "_-rf"),
        ('attachment; filename="CON.txt"', "_CON.txt"),
        ('attachment; filename="a\u202etxt.exe"', None),
    ],
)
def test_names_are_safe_whatever_the_server_says(origin: Origin, data_dir, header, name) -> None:
    raw = f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Disposition: {header}\r\n\r\nx"
    url = origin.put("/x", raw=raw.encode("utf-8"))
    path = download_file(url, "in")
    assert path.parent == data_dir / "in"
    assert len(path.name.encode()) <= 255
    assert path.name.isprintable()
    assert path.read_bytes() == b"x"
    if name is not None:
        assert path.name == name


# --- schemes ---


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "hf"])
def test_our_credentials_are_used_only_where_the_author_asks(scheme: str) -> None:
    with pytest.raises(InvalidURLError, match=f"TOWPATH_SOURCES={scheme}"):
        download_file(f"{scheme}://bucket/key", "in")


def test_file_urls_are_never_read(data_dir: Path) -> None:
    with pytest.raises(InvalidURLError):
        download_file("file:///etc/passwd", "in", sources={"file"})
    with pytest.raises(InvalidURLError):
        download_model_weights("file:///etc/passwd")


def test_the_setting_allows_a_scheme_for_every_call(data_dir: Path) -> None:
    own = settings_room.load(data_dir=data_dir, sources="hf", allow_hosts=())
    with settings_room.using(own), pytest.raises(InvalidURLError, match="hf://org/repo"):
        download_file("hf://nonsense", "in")


def test_a_name_that_does_not_exist_is_not_waited_for() -> None:
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="does not resolve"):
        download_file("http://nowhere.invalid/x", "in", patience=10)
    assert time.monotonic() - began < 9
