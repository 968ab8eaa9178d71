"""Pictures, clips and sounds: made, uploaded, described, and read again."""

import asyncio
import io
import threading
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image as PillowImage
from tests.codecs.test_clips import frames
from tests.codecs.test_sounds import peak_of, tone
from tests.support.origin import Origin

from towpath import settings as settings_room
from towpath.errors import (
    BrokenImageError,
    BrokenMediaError,
    UnsupportedFormatError,
    UploadRefusedError,
)
from towpath.testing import serve
from towpath.toolkit import Audio, File, Image, MediaFacts, Video

pytestmark = pytest.mark.usefixtures("hosting")
PIXELS = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)


# --- pictures ---


def test_an_array_becomes_a_picture_and_comes_back() -> None:
    image = Image.from_array(PIXELS)
    assert (image.width, image.height, image.content_type) == (30, 20, "image/png")
    assert np.array_equal(Image(url=image.url).to_array(), PIXELS)
    assert Image(url=image.url).to_array("L").shape == (20, 30)
    assert Image.from_array(PIXELS / 255, "webp", "a.webp", quality=50).file_name == "a.webp"


def test_a_picture_that_was_turned_has_the_size_that_is_seen() -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    PillowImage.new("RGB", (30, 10)).save(buffer, "jpeg", exif=exif)
    opened = PillowImage.open(io.BytesIO(buffer.getvalue()))
    image = Image.from_pil(opened)
    assert (image.width, image.height) == (10, 30)
    assert image.to_pil().size == (10, 30)


def test_many_pictures_are_uploaded_side_by_side_in_their_order() -> None:
    pictures = [PillowImage.new("RGB", (n + 1, 5)) for n in range(20)]
    images = Image.from_pils(pictures, "webp", expires_in="1h")
    assert [image.width for image in images] == list(range(1, 21))
    assert all(image.expires_at for image in images)
    assert Image.from_pils([]) == []


def test_one_bad_picture_among_many_is_an_error() -> None:
    with pytest.raises(UnsupportedFormatError):
        Image.from_pils([PillowImage.new("RGB", (5, 5)), PillowImage.new("RGB", (0, 5))])


# --- clips and sounds ---


def test_frames_become_a_video_and_come_back() -> None:
    video = Video.from_frames(frames(10), 10, audio=(tone(44_100, 1.0), 44_100), file_name="a.mp4")
    assert (video.content_type, video.file_name) == ("video/mp4", "a.mp4")
    assert video.file_size == len(video.as_bytes())
    again = Video(url=video.url)
    pictures = list(again.frames())
    assert len(pictures) == 10
    assert np.abs(pictures[9].astype(int) - frames(10)[9]).mean() < 8
    assert np.abs(np.asarray(again.poster(0.5)).astype(int) - frames(10)[5]).mean() < 8
    heard, rate = Audio(url=video.url).to_array()
    assert abs(peak_of(heard[:, 0], rate) - 440) < 5


def test_samples_become_a_sound_and_come_back() -> None:
    for word, content_type in (
        ("wav", "audio/wav"),
        ("flac", "audio/flac"),
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
    ):
        sound = Audio.from_array(tone(48_000, 1.0, 2), 48_000, word)
        assert sound.content_type == content_type
        assert sound.file_name.endswith(f".{word}")
        heard, rate = Audio(url=sound.url).to_array(16_000)
        assert (rate, heard.shape[1]) == (16_000, 2)
        assert abs(peak_of(heard[:, 1], rate) - 880) < 5


def test_the_encoder_is_a_setting(data_dir: Path) -> None:
    own = settings_room.load(data_dir=data_dir, store_reserve=0, video_encoder="mpeg4")
    with settings_room.using(own):
        assert Video.from_frames(frames(3), 10).metadata.codec == "mpeg4"


# --- facts ---


def test_facts_are_in_the_json_only_once_they_are_known() -> None:
    image = Image.from_array(PIXELS)
    keys = ["url", "content_type", "file_name", "file_size", "width", "height", "expires_at"]
    assert list(image.model_dump()) == keys
    assert image.probe() == MediaFacts(width=30, height=20, frames=1, codec="png")
    assert list(image.model_dump()) == [*keys, "metadata"]
    assert image.model_dump(mode="json")["metadata"] == {
        "width": 30,
        "height": 20,
        "frames": 1,
        "codec": "png",
    }
    assert Image.model_validate(image.model_dump()).metadata == image.metadata


def test_facts_of_a_clip_are_known_from_its_making_and_by_asking() -> None:
    video = Video.from_frames(frames(10), 10)
    made = video.metadata
    assert (made.width, made.frames, made.fps, made.duration) == (64, 10, 10, 1.0)
    asked = Video(url=video.url).probe()
    assert (asked.width, asked.height, asked.frames, asked.codec) == (64, 48, 10, "h264")
    sound = Audio.from_array(tone(8000, 1.0), 8000)
    assert Audio(url=sound.url).probe() == sound.metadata


@pytest.mark.parametrize("given", ["text", 5, {"width": "wide"}, [1], None])
def test_whatever_else_callers_send_as_metadata_counts_for_nothing(given) -> None:
    assert Image.model_validate({"url": "data:,x", "metadata": given}).metadata is None


def test_the_schema_knows_the_facts_and_asks_for_none() -> None:
    schema = Video.model_json_schema(mode="serialization")
    assert "metadata" in schema["properties"]
    assert "metadata" not in schema.get("required", [])


def test_what_is_no_media_has_no_facts() -> None:
    for data in (b"text", b"<svg xmlns='http://www.w3.org/2000/svg'/>"):
        with pytest.raises((BrokenMediaError, BrokenImageError)):
            File.from_bytes(data).probe()


# --- streams, paths, places ---


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_a_stream_of_unknown_length_is_stored_whole(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    for source in (io.BytesIO(data), (data[at : at + 999] for at in range(0, size, 999))):
        file = File.from_stream(source, file_name="a.bin")
        assert file.file_size == size
        assert File(url=file.url).as_bytes() == data


def test_the_type_of_a_stream_is_seen_by_its_first_bytes() -> None:
    stream = io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"x" * 99)
    assert File.from_stream(stream).content_type == "image/png"
    assert not stream.closed


def test_a_stream_that_is_too_large_is_refused_midway(data_dir: Path) -> None:
    own = settings_room.load(data_dir=data_dir, store_reserve=0, max_upload_bytes=1000)
    with settings_room.using(own), pytest.raises(UploadRefusedError, match="1000 bytes"):
        File.from_stream(b"x" * 300 for _ in range(10))


def test_a_file_is_opened_and_lies_at_a_path(origin: Origin) -> None:
    url = origin.put("/a.bin", b"content")
    file = File(url=url)
    with file.open() as stream:
        assert stream.read() == b"content"
    assert file.to_path().read_bytes() == b"content"
    assert file.as_bytes() == b"content"
    assert File(url="data:,hello").to_path().read_bytes() == b"hello"
    assert File.from_bytes(b"x").open().read() == b"x"


def test_a_url_may_come_before_its_bytes(data_dir: Path, tmp_path: Path) -> None:
    code = tmp_path / "app.py"
    code.write_text(
        "import towpath\nclass A(towpath.App):\n    @towpath.endpoint('/')\n"
        "    def run(self) -> str:\n        return 'x'\n"
    )
    with serve(str(code), data_dir=data_dir, store_reserve=0) as server:
        own = settings_room.load(data_dir=data_dir, store_reserve=0, public_url=server.url)
        from towpath.storage.hosting import hosting_of, using_hosting

        with settings_room.using(own), using_hosting(hosting_of(own)):
            pending = Image.reserve("image/png", "cat.png", expires_in="1h")
            early = httpx2.get(pending.url)
            assert (early.status_code, early.headers["retry-after"]) == (404, "2")
            buffer = io.BytesIO()
            PillowImage.new("RGB", (7, 5)).save(buffer, "png")
            image = pending.complete(buffer.getvalue())
            assert isinstance(image, Image)
            assert (image.url, image.width, image.height) == (pending.url, 7, 5)
            assert image.expires_at is not None
            assert httpx2.get(pending.url).content == buffer.getvalue()
            with pytest.raises(UploadRefusedError, match="completed before"):
                pending.complete(b"again")


def test_a_place_may_be_given_up(tmp_path: Path) -> None:
    pending = File.reserve("text/plain")
    pending.abort()
    pending.abort()
    with pytest.raises(UploadRefusedError, match="given up"):
        pending.complete(b"x")
    (tmp_path / "a.txt").write_text("from a path")
    other = File.reserve("text/plain", "a.txt")
    assert other.complete(tmp_path / "a.txt").as_bytes() == b"from a path"
    with pytest.raises(ValueError, match="repository='cdn'"):
        File.reserve("text/plain", repository="in_memory")


def test_a_place_is_made_filled_and_given_up_off_the_loop(tmp_path: Path) -> None:
    async def use() -> tuple[File, str]:
        pending = await File.reserve_async("text/plain", "a.txt")
        filled = await pending.complete_async(b"later")
        other = await File.reserve_async("text/plain")
        await other.abort_async()
        with pytest.raises(UploadRefusedError, match="given up"):
            await other.complete_async(b"x")
        return filled, pending.url

    file, url = asyncio.run(use())
    assert (file.url, file.as_bytes(), file.file_name) == (url, b"later", "a.txt")


def test_two_that_complete_one_place_meet_in_no_file() -> None:
    pending = File.reserve("text/plain")
    results: list[object] = []

    def complete(data: bytes) -> None:
        try:
            results.append(pending.complete(data).url)
        except UploadRefusedError as error:
            results.append(error)

    threads = [threading.Thread(target=complete, args=(bytes([n]) * 9,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, str) for result in results) == 1
    assert len(set(File(url=pending.url).as_bytes())) == 1


@pytest.mark.parametrize(
    ("name", "data", "content_type"),
    [
        ("photo.png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("photo.jpg", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("clip.mp4", b"\x1aE\xdf\xa3 webm", "video/webm"),
        ("song.m4a", b"\0\0\0\x20ftypisom", "audio/mp4"),
        ("sound.opus", b"OggS", "audio/opus"),
        ("scene.usdz", b"PK\x03\x04", "model/vnd.usdz+zip"),
        ("notes.txt", b"\xff\xd8\xff\xe0", "text/plain"),
        ("photo.png", b"unknown", "image/png"),
    ],
)
def test_the_type_is_not_the_names_alone(name: str, data: bytes, content_type: str) -> None:
    assert File.from_bytes(data, file_name=name).content_type == content_type


def test_the_async_twins_do_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        image = await Image.from_array_async(PIXELS)
        assert (await Image.from_pils_async([image.to_pil()]))[0].width == 30
        video = await Video.from_frames_async(frames(3), 10)
        assert (await video.to_path_async()).stat().st_size == video.file_size
        sound = await Audio.from_array_async(tone(), 48_000)
        assert sound.metadata is not None
        file = await File.from_stream_async(io.BytesIO(b"abc"))
        assert await file.as_bytes_async() == b"abc"

    asyncio.run(run())
