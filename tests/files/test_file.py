import asyncio
import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from tests.support.origin import Origin

from towpath.errors import SourceStatusError
from towpath.storage.hosting import Hosting
from towpath.toolkit import Audio, CompressedFile, File, Image, Video

pytestmark = pytest.mark.usefixtures("hosting")


def test_bytes_become_a_url_that_holds_them() -> None:
    file = File.from_bytes(b"glb", content_type="model/gltf-binary", file_name="model.glb")
    assert file.url.startswith("http://127.0.0.1:8000/files/")
    assert file.url.endswith("/model.glb")
    assert (file.content_type, file.file_name, file.file_size) == (
        "model/gltf-binary",
        "model.glb",
        3,
    )
    assert file.expires_at is None
    assert File(url=file.url).as_bytes() == b"glb"


@pytest.mark.parametrize("kind", [File, Video, Audio, CompressedFile, Image])
def test_every_type_comes_from_a_path(kind: type[File], tmp_path: Path) -> None:
    (tmp_path / "output.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    file = kind.from_path(tmp_path / "output.mp4")
    assert (file.content_type, file.file_name) == ("video/mp4", "output.mp4")
    assert file.as_bytes() == b"\0\0\0\x20ftypisom"


@pytest.mark.parametrize(
    "content_type", ["application/x-anything", "text/html", "not even a type", "image/jpg"]
)
def test_any_content_type_is_kept_as_given(content_type: str) -> None:
    assert File.from_bytes(b"x", content_type=content_type).content_type == content_type


def test_a_missing_name_and_type_are_made_up_from_the_bytes() -> None:
    file = File.from_bytes(b"\x89PNG\r\n\x1a\n")
    assert file.content_type == "image/png"
    assert len(file.file_name) == 36
    assert file.file_name.endswith(".png")


def test_a_missing_path_is_the_builtin_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        File.from_path(tmp_path / "nothing")


def test_the_life_of_a_file_is_in_the_object() -> None:
    assert File.from_bytes(b"x", expires_in="1h").expires_at.endswith("+00:00")


def test_a_moved_file_is_linked(tmp_path: Path) -> None:
    source = tmp_path / "a.bin"
    source.write_bytes(b"x" * 1000)
    file = File.from_path(source, move=True)
    assert source.stat().st_nlink == 2
    assert file.as_bytes() == b"x" * 1000


def test_the_json_has_always_the_same_keys_in_the_same_order() -> None:
    keys = ["url", "content_type", "file_name", "file_size", "expires_at"]
    assert list(json.loads(File(url="https://x.test/a").model_dump_json())) == keys
    image_keys = [*keys[:4], "width", "height", "expires_at"]
    assert list(Image(url="https://x.test/a").model_dump()) == image_keys
    assert list(Image.model_json_schema()["properties"]) == [*image_keys, "metadata"]


class Nested(BaseModel):
    files: list[File]
    image: Image | None = None


def test_a_url_or_an_object_is_a_file_anywhere() -> None:
    nested = Nested.model_validate(
        {"files": ["https://x.test/a", {"url": "data:,x"}], "image": "http://x.test/b"}
    )
    assert [file.url for file in nested.files] == ["https://x.test/a", "data:,x"]
    assert nested.image is not None
    assert list(nested.model_dump()["image"])[-1] == "expires_at"


@pytest.mark.parametrize("url", ["x", "ftp://x.test/a", "file:///etc/passwd", "http://", ""])
def test_anything_else_is_no_file(url: str) -> None:
    with pytest.raises(ValidationError, match="valid URL"):
        File(url=url)


def test_a_file_of_a_url_has_its_bytes_too(origin: Origin) -> None:
    file = File(url=origin.put("/a", b"remote"))
    assert file.as_bytes() == b"remote"
    assert file.as_bytes() == b"remote"
    assert len(origin.seen) == 1


def test_save_writes_and_overwrites_only_when_told(origin: Origin, tmp_path: Path) -> None:
    target = tmp_path / "out" / "a.bin"
    file = File(url=origin.put("/name-of-the-server.bin", b"remote"))
    assert file.save(target) == target
    assert [p.name for p in target.parent.iterdir()] == ["a.bin"]
    with pytest.raises(FileExistsError):
        file.save(target)
    target.write_bytes(b"older")
    file.save(target, overwrite=True)
    assert target.read_bytes() == b"remote"


def test_an_unreachable_url_is_an_error_with_its_status(origin: Origin) -> None:
    with pytest.raises(SourceStatusError):
        File(url=origin.url("/nothing")).as_bytes()


def test_the_async_twins_do_the_same(tmp_path: Path) -> None:
    async def run() -> bytes:
        file = await File.from_bytes_async(b"x", "text/plain")
        await file.save_async(tmp_path / "a")
        again = await File.from_path_async(tmp_path / "a")
        return await again.as_bytes_async()

    assert asyncio.run(run()) == b"x"


def test_schema_hints_say_what_the_page_shows() -> None:
    hints = {kind: kind.model_json_schema().get("ui") for kind in (Image, Video, Audio, File)}
    assert hints == {
        Image: {"field": "image"},
        Video: {"field": "video"},
        Audio: {"field": "audio"},
        File: None,
    }


def test_options_for_moved_apps_are_taken(hosting: Hosting) -> None:
    file = File.from_bytes(
        b"x", repository="fal_v3", fallback_repository=["fal"], multipart=True, save_kwargs={}
    )
    assert file.as_bytes() == b"x"
