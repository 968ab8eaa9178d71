import errno
import os
from pathlib import Path

import pytest

from towpath import settings as settings_room
from towpath.errors import NoUploaderError, UploadError, UploadRefusedError
from towpath.settings import Settings
from towpath.storage import hosting as hosting_room
from towpath.storage.hosting import Hosting
from towpath.testing import memory_uploads
from towpath.toolkit import File, Image
from towpath.uploads.direct import DirectUploader
from towpath.uploads.fallback import FallbackUploader
from towpath.uploads.in_memory import InMemoryUploader
from towpath.uploads.uploader import Payload, Uploaded


class Broken:
    def upload(self, payload: Payload, *, lifetime) -> Uploaded:
        raise UploadError("this one is broken")


@pytest.fixture(params=["direct", "in_memory", "fallback"])
def uploader(request: pytest.FixtureRequest, hosting: Hosting):
    return {
        "direct": DirectUploader(hosting, limit=100),
        "in_memory": InMemoryUploader(limit=100),
        "fallback": FallbackUploader(Broken(), DirectUploader(hosting, limit=100)),
    }[request.param]


class TestEveryUploader:
    def test_gives_a_url_whose_content_is_the_payload(self, uploader) -> None:
        uploaded = uploader.upload(Payload(b"hello", "text/plain", "a.txt", 5), lifetime=None)
        assert File(url=uploaded.url).as_bytes() == b"hello"
        assert (uploaded.size, uploaded.expires_at) == (5, None)

    def test_takes_a_path(self, uploader, tmp_path) -> None:
        (tmp_path / "a").write_bytes(b"from disk")
        payload = Payload(tmp_path / "a", "text/plain", "a", 9)
        uploaded = uploader.upload(payload, lifetime="1h")
        assert File(url=uploaded.url).as_bytes() == b"from disk"

    def test_refuses_what_is_over_its_limit(self, uploader) -> None:
        with pytest.raises(UploadError, match="100"):
            uploader.upload(Payload(b"x" * 101, "text/plain", "a", 101), lifetime=None)


TYPES = ["text/plain", "text/plain; charset=utf-8", 'text/plain; a="b,c"', "a/b;#x", "a/b; x=%41"]
NAMES = [
    "a.txt",
    "a\r\nb.txt",
    "a\0b",
    "a b.txt",
    "a;b,c.txt",
    "a#b?c.txt",
    "data:,x",
    "\u202e.png",
]
BAD_TYPES = [
    "a\r\nb/c",
    "text/plain\n",
    "text/plain\0",
    "text plain",
    "a,b",
    "text",
    ";base64",
    "é/x",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("repository", ["cdn", "in_memory"])
def test_every_name_and_type_give_a_url_of_the_same_bytes(
    repository: str, kind: str, name: str, hosting: Hosting
) -> None:
    """Trust T13: 7 of 40 gave a broken data: URI, or other content."""
    file = File.from_bytes(b"hello, world", kind, name, repository=repository)
    assert (file.content_type, file.file_size) == (kind, 12)
    assert File(url=file.url).as_bytes() == b"hello, world"
    assert file.url.isprintable()
    assert not set(file.url) & set(' "#\r\n\0')


@pytest.mark.parametrize("kind", BAD_TYPES)
@pytest.mark.parametrize("repository", ["cdn", "in_memory", Broken()])
def test_what_is_no_content_type_is_refused_by_every_uploader(
    repository: object, kind: str, hosting: Hosting, tmp_path
) -> None:
    """Trust T13: what the HTTP way checks, its siblings check."""
    (tmp_path / "a").write_bytes(b"x")
    ways = (
        lambda: File.from_bytes(b"x", kind, repository=repository),
        lambda: File.from_path(tmp_path / "a", kind, repository=repository),
        lambda: File.from_stream(iter([b"x"]), kind, repository=repository),
    )
    for way in ways:
        with pytest.raises(UploadRefusedError, match="not a content type") as refused:
            way()
        assert refused.value.status == 400
    with pytest.raises(UploadRefusedError, match="not a content type"):
        File.reserve(kind)


def test_all_reasons_are_told_when_none_takes_it() -> None:
    with pytest.raises(UploadError, match=r"Broken: this one is broken.*InMemoryUploader"):
        FallbackUploader(Broken(), InMemoryUploader(limit=0)).upload(
            Payload(b"x", "text/plain", "a"), lifetime=None
        )


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "not yet open"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_what_the_disk_answers_is_an_upload_error(
    settings: Settings, monkeypatch, number: int, is_open: bool
) -> None:
    hosting = hosting_room.hosting_of(settings)
    if is_open:
        hosting.hold("a", "text/plain")

    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(UploadRefusedError, match=os.strerror(number)) as refused:
            DirectUploader(hosting).upload(Payload(b"x", "text/plain", "a", 1), lifetime=None)
        assert refused.value.status == 507
    hosting.store.close()


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "not yet open"])
def test_a_place_that_the_disk_does_not_take_is_an_upload_error(
    settings: Settings, monkeypatch, is_open: bool
) -> None:
    hosting = hosting_room.hosting_of(settings)
    if is_open:
        hosting.hold("a", "text/plain")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refuse)
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(UploadRefusedError, match="Read-only") as refused:
            DirectUploader(hosting).reserve(content_type="a/b", file_name="a", lifetime=None)
        assert refused.value.status == 507
    place = DirectUploader(hosting).reserve(content_type="a/b", file_name="a", lifetime=None)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(UploadRefusedError, match="Read-only"):
            place.abort()
    hosting.store.close()


def test_a_process_without_a_store_names_the_three_ways(strict_settings, monkeypatch) -> None:
    monkeypatch.setattr(hosting_room._Process, "hosting", None)
    with pytest.raises(NoUploaderError, match=r"towpath run.*TOWPATH_STORE.*in_memory"):
        File.from_bytes(b"x")
    assert File.from_bytes(b"x", repository="in_memory").url.startswith("data:")
    assert (
        File.from_bytes(b"x", fallback_repository="in_memory", repository=Broken()).as_bytes()
        == b"x"
    )


def test_memory_uploads_need_no_server(strict_settings) -> None:
    from PIL import Image as PillowImage

    with memory_uploads():
        image = Image.from_pil(PillowImage.new("RGB", (3, 2), "red"))
    assert image.to_pil().getpixel((0, 0)) == (255, 0, 0)


def test_an_unknown_repository_is_named(hosting: Hosting) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        File.from_bytes(b"x", repository="nowhere")


def test_a_file_over_the_upload_limit_is_refused(hosting: Hosting, data_dir) -> None:
    small = settings_room.load(data_dir=data_dir, max_upload_bytes="1KiB", store_reserve=0)
    with (
        settings_room.using(small),
        pytest.raises(UploadRefusedError, match="TOWPATH_MAX_UPLOAD") as caught,
    ):
        File.from_bytes(b"x" * 1025)
    assert caught.value.status == 413
