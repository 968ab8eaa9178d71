import asyncio
import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from towpath import settings as settings_room
from towpath.codecs.images import decode, encode, size_in
from towpath.errors import BrokenImageError, ImageTooLargeError, UnsupportedFormatError
from towpath.media.data_uri import write
from towpath.toolkit import Image, ImageInput, ImageSize, get_image_size

pytestmark = pytest.mark.usefixtures("hosting")
NOISE = PillowImage.effect_noise((64, 64), 90)
GRADIENT = PillowImage.linear_gradient("L").resize((40, 30))


def png(image: PillowImage.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("image_format", "content_type", "pillow"),
    [
        (None, "image/png", "PNG"),
        ("png", "image/png", "PNG"),
        ("jpeg", "image/jpeg", "JPEG"),
        ("jpg", "image/jpeg", "JPEG"),
        ("JPG", "image/jpeg", "JPEG"),
        ("webp", "image/webp", "WEBP"),
        ("gif", "image/gif", "GIF"),
        ("bmp", "image/bmp", "BMP"),
        ("tiff", "image/tiff", "TIFF"),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA", "CMYK", "I;16", "F"])
def test_every_mode_goes_into_every_format(image_format, content_type, pillow, mode: str) -> None:
    picture = GRADIENT.convert("I").convert("I;16") if mode == "I;16" else GRADIENT.convert(mode)
    image = Image.from_pil(picture, format=image_format)
    assert image.content_type == content_type
    assert (image.width, image.height) == (40, 30)
    with PillowImage.open(io.BytesIO(image.as_bytes())) as opened:
        assert opened.format == pillow
        assert opened.size == (40, 30)


def test_an_opened_image_keeps_its_own_format() -> None:
    buffer = io.BytesIO()
    GRADIENT.save(buffer, "jpeg")
    opened = PillowImage.open(io.BytesIO(buffer.getvalue()))
    assert Image.from_pil(opened).content_type == "image/jpeg"


@pytest.mark.parametrize("word", ["exe", "svg", "pdf", ""])
def test_a_format_that_is_not_written_is_named(word: str) -> None:
    if word:
        with pytest.raises(UnsupportedFormatError, match="webp"):
            Image.from_pil(GRADIENT, format=word)
    with pytest.raises(UnsupportedFormatError):
        Image.from_bytes(b"x", format=word or "nope")


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["RGB", "RGBA"]), st.randoms())
def test_png_is_lossless(width: int, height: int, mode: str, random) -> None:
    pixels = random.randbytes(width * height * len(mode))
    picture = PillowImage.frombytes(mode, (width, height), pixels)
    assert decode(encode(picture, "png"), mode, most_pixels=10**6, url=None).tobytes() == pixels


def test_transparency_becomes_white_in_jpeg() -> None:
    clear = PillowImage.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert Image.from_pil(clear, "jpeg").to_pil().getpixel((4, 4)) == (255, 255, 255)


def test_a_colour_profile_and_text_stay_in_a_png() -> None:
    picture = PillowImage.new("RGB", (4, 4))
    picture.info["icc_profile"] = b"profile"
    with PillowImage.open(io.BytesIO(encode(picture, "png"))) as opened:
        assert opened.info["icc_profile"] == b"profile"


def test_bytes_are_stored_as_they_are_and_measured_by_their_header() -> None:
    data = png(GRADIENT)
    image = Image.from_bytes(data, "png")
    assert image.as_bytes() == data
    assert (image.width, image.height) == (40, 30)
    assert Image.from_bytes(data, "png", size=ImageSize(width=1, height=2)).height == 2
    assert Image.from_bytes(data, "png", size=(7, 8)).width == 7


def test_an_image_from_a_path_is_measured_where_it_can_be(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(png(GRADIENT))
    (tmp_path / "b.exr").write_bytes(b"v/1\x01")
    assert Image.from_path(tmp_path / "a.png").width == 40
    assert Image.from_path(tmp_path / "b.exr").width is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_comes_before_the_mode(orientation: int) -> None:
    upright = PillowImage.new("RGB", (20, 10), "white")
    upright.paste("red", (0, 0, 5, 5))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if undo is None else upright.transpose(PillowImage.Transpose(undo))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "png", exif=exif)
    shown = decode(buffer.getvalue(), "RGB", most_pixels=10**6, url=None)
    assert shown.size == (20, 10)
    assert shown.getpixel((1, 1)) == (255, 0, 0)
    assert shown.getpixel((18, 8)) == (255, 255, 255)


def test_a_16_bit_grey_image_is_scaled_and_not_clipped() -> None:
    deep = PillowImage.new("I;16", (2, 1))
    deep.putpixel((0, 0), 32768)
    shown = decode(png(deep), "RGB", most_pixels=100, url=None)
    assert abs(shown.getpixel((0, 0))[0] - 128) <= 1


def test_to_pil_keeps_the_mode_when_asked() -> None:
    assert Image.from_pil(GRADIENT.convert("RGBA")).to_pil(None).mode == "RGBA"
    assert Image.from_pil(GRADIENT).to_pil("L").mode == "L"


def test_a_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageTooLargeError, match="TOWPATH_IMAGE_MAX_PIXELS"):
        decode(bomb, "RGB", most_pixels=100_000_000, url=None)


def test_all_frames_count() -> None:
    frames = [PillowImage.new("L", (100, 100), n) for n in range(20)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageTooLargeError) as caught:
        decode(buffer.getvalue(), "RGB", most_pixels=150_000, url=None)
    assert caught.value.pixels == 200_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"\x89PNG\r\n\x1a\n",
        png(NOISE)[: len(png(NOISE)) // 2],
        png(NOISE)[:-50],
    ],
)
def test_what_is_not_a_whole_image_is_one_error(data: bytes) -> None:
    with pytest.raises(BrokenImageError):
        decode(data, "RGB", most_pixels=10**6, url=None)


@settings(max_examples=60)
@given(st.data())
def test_random_damage_never_raises_anything_else(data) -> None:
    whole = bytearray(png(GRADIENT))
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    message = ""
    try:
        decode(bytes(whole), "RGB", most_pixels=10**6, url="https://x.test/a.png?token=s3cret")
    except (BrokenImageError, ImageTooLargeError) as error:
        message = str(error)
    assert "s3cret" not in message


def test_the_limit_is_a_setting(data_dir) -> None:
    image = Image(url=write(png(GRADIENT), "image/png"))
    small = settings_room.load(data_dir=data_dir, image_max_pixels=1199)
    with settings_room.using(small), pytest.raises(ImageTooLargeError):
        image.to_pil()
    exact = settings_room.load(data_dir=data_dir, image_max_pixels=1200)
    with settings_room.using(exact):
        assert image.to_pil().size == (40, 30)


def test_size_in_reads_no_pixels() -> None:
    assert size_in(png(GRADIENT)) == (40, 30)
    assert size_in(b"nothing") is None


def test_the_async_twins_do_the_same() -> None:
    async def run() -> tuple[int, int]:
        image = await Image.from_pil_async(GRADIENT, "webp")
        again = await Image.from_bytes_async(image.as_bytes(), "webp")
        return (await again.to_pil_async()).size

    assert asyncio.run(run()) == (40, 30)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("square_hd", (1024, 1024)),
        ("portrait_16_9", (576, 1024)),
        (ImageSize(width=3, height=4), (3, 4)),
    ],
)
def test_presets_are_sizes(value, size) -> None:
    chosen = get_image_size(value)
    assert (chosen.width, chosen.height) == size


def test_an_unknown_preset_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="square_hd"):
        get_image_size("huge")
    with pytest.raises(ValueError):
        ImageSize(width=14143, height=1)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no picture at all", id="a text"),
        pytest.param(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", id="a sound"),
        pytest.param(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", id="a video"),
    ],
)
@pytest.mark.parametrize("kind", [lambda url: Image(url=url), ImageInput], ids=["file", "input"])
def test_what_is_asked_of_a_picture_is_not_told_of_something_else(kind, content: bytes) -> None:
    url = write(content, "application/octet-stream")
    with pytest.raises(BrokenImageError, match="not an image that is read here"):
        kind(url).probe()
