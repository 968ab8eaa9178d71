import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageChops, ImageCms, ImageDraw
from PIL.PngImagePlugin import PngInfo

from towpath.codecs import deflate
from towpath.codecs import png as png_room
from towpath.codecs.deflate import has_isal
from towpath.codecs.images import decode, encode, facts_in
from towpath.codecs.png import fpng_writer
from towpath.errors import BrokenImageError, UnsupportedFormatError

MODES = ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA"]
MODES += ["RGBa", "La", "I;16", "I;16B"]
GRADIENT = PillowImage.linear_gradient("L").resize((48, 32))
COLOURS = PillowImage.merge(
    "RGB", (GRADIENT, GRADIENT.transpose(PillowImage.Transpose.ROTATE_180), GRADIENT)
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def opened(data: bytes) -> PillowImage.Image:
    image = PillowImage.open(io.BytesIO(data))
    image.load()
    return image


def picture(mode: str) -> PillowImage.Image:
    if mode.startswith("I;16"):
        deep = np.linspace(0, 65535, 48 * 32).reshape(32, 48).astype("<u2")
        plain = PillowImage.frombytes("I;16", (48, 32), deep.tobytes())
        return (
            plain
            if mode == "I;16"
            else PillowImage.frombytes(mode, (48, 32), deep.astype(">u2").tobytes())
        )
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(COLOURS, srgb, lab, outputMode="LAB")
    if mode in {"RGBa", "La"}:
        return COLOURS.convert({"RGBa": "RGBA", "La": "LA"}[mode]).convert(mode)
    if mode == "PA":
        return COLOURS.convert("P").convert("PA")
    if mode == "I":
        return GRADIENT.convert("I").point(lambda value: value * 256)
    return (GRADIENT if mode == "F" else COLOURS).convert(mode)


@pytest.fixture(params=["fpng", "isal", "zlib"])
def _each_png_writer(request, monkeypatch) -> None:
    """Take away the libraries that are faster, as if they had no wheel."""
    fpng_writer(), has_isal()  # both are looked for
    if request.param != "fpng":
        monkeypatch.setattr(png_room._Fpng, "write", None)
    if request.param == "zlib":
        monkeypatch.setattr(deflate._Isal, "module", None)


@pytest.mark.usefixtures("_each_png_writer")
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_png_loses_nothing(mode: str) -> None:
    source = picture(mode)
    again = opened(encode(source, "png"))
    assert again.mode == mode
    assert again.convert("RGBA").tobytes() == source.convert("RGBA").tobytes()
    assert mode != "I;16" or again.tobytes() == source.tobytes()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "avif"])
def test_every_mode_looks_the_same_in_every_format(mode: str, image_format: str) -> None:
    source = picture(mode)
    again = decode(encode(source, image_format), "RGB", most_pixels=10**6, url=None)
    expected = decode(encode(source, "png"), "RGB", most_pixels=10**6, url=None)
    difference = np.asarray(ImageChops.difference(again, expected)).astype(int)
    palette = 40 if image_format == "gif" else 12
    assert difference.mean() < palette, "seen from afar they are one picture"


@pytest.mark.parametrize("mode", MODES)
def test_png_shows_the_colours_of_every_mode(mode: str) -> None:
    source = picture(mode)
    shown = decode(encode(source, "png"), "RGB", most_pixels=10**6, url=None)
    if mode in {"I", "F", "L", "LA", "La", "1"} or mode.startswith("I;16"):
        assert shown.getpixel((0, 0)) != shown.getpixel((0, 31)) or mode == "1"
        return
    difference = np.asarray(ImageChops.difference(shown, COLOURS)).astype(int)
    assert difference.mean() < (30 if mode in {"P", "PA"} else 6)


@pytest.mark.usefixtures("_each_png_writer")
@settings(max_examples=30)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["L", "LA", "RGB", "RGBA", "I;16"]),
    st.randoms(),
)
def test_pixels_come_back_as_they_were(width: int, height: int, mode: str, random) -> None:
    size = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 2}[mode] * width * height
    pixels = random.randbytes(size)
    source = PillowImage.frombytes(mode, (width, height), pixels)
    assert opened(encode(source, "png")).tobytes() == pixels


@pytest.mark.usefixtures("_each_png_writer")
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_a_picture_of_many_parts_comes_back_as_it_was(mode: str, monkeypatch) -> None:
    monkeypatch.setattr(deflate, "_processors", lambda: 16)
    grain = np.random.default_rng(1).normal(0, 3, (1200, 1500, 1))
    slow = np.add.outer(np.arange(1200) % 200, np.arange(1500) % 150)[..., None]
    samples = (slow * 0.7 + grain).clip(0, 255).astype(np.uint8)
    size = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 2}[mode]
    source = PillowImage.frombytes(mode, (1500, 1200), samples.repeat(size, 2).tobytes())
    assert opened(encode(source, "png")).tobytes() == source.tobytes()


def test_a_flat_picture_is_not_larger_than_by_pillow() -> None:
    drawing = PillowImage.new("RGB", (1024, 1024), "white")
    pen = ImageDraw.Draw(drawing)
    for line in range(60):
        pen.text(
            (10, 17 * line), f"{line}: the quick brown fox jumps over the lazy dog " * 3, "navy"
        )
    by_pillow = io.BytesIO()
    drawing.save(by_pillow, "png", compress_level=1)
    data = encode(drawing, "png")
    assert opened(data).tobytes() == drawing.tobytes()
    assert len(data) < 1.25 * len(by_pillow.getvalue())


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp", "gif"])
def test_a_picture_whose_file_is_cut_off_is_refused_with_its_size(image_format: str) -> None:
    buffer = io.BytesIO()
    COLOURS.resize((400, 300)).save(buffer, "png")
    cut = PillowImage.open(io.BytesIO(buffer.getvalue()[:500]))
    with pytest.raises(UnsupportedFormatError, match=f"RGB image of 400x300 .* {image_format}"):
        encode(cut, image_format)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (7, 3), (3, 8)])
@pytest.mark.parametrize("colour", ["black", "white"])
def test_the_smallest_pictures_are_written(size: tuple[int, int], colour: str) -> None:
    source = PillowImage.new("RGB", size, colour)
    assert opened(encode(source, "png")).tobytes() == source.tobytes()


@pytest.mark.usefixtures("_each_png_writer")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
def test_profile_texts_and_resolution_stay_in_a_png(mode: str) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat, steps: 30")
    info.add_itxt("Title", "Größe ≈ 1")
    buffer = io.BytesIO()
    source = picture(mode)
    source.save(buffer, "png", pnginfo=info, icc_profile=SRGB, dpi=(300, 300))
    again = opened(encode(opened(buffer.getvalue()), "png"))
    assert again.text == {"parameters": "a cat, steps: 30", "Title": "Größe ≈ 1"}
    assert again.info["icc_profile"] == SRGB
    assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("image_format", ["jpeg", "webp", "tiff", "avif", "png"])
def test_a_profile_stays_where_the_colours_do(image_format: str) -> None:
    source = COLOURS.copy()
    source.info["icc_profile"] = SRGB
    assert opened(encode(source, image_format)).info.get("icc_profile") == SRGB
    other = COLOURS.convert("CMYK")
    other.info["icc_profile"] = b"of CMYK"
    assert opened(encode(other, "png")).info.get("icc_profile") is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_the_orientation_is_in_the_pixels(orientation: int, image_format: str) -> None:
    upright = PillowImage.new("RGB", (32, 16), "white")
    upright.paste("red", (0, 0, 8, 8))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if undo is None else upright.transpose(PillowImage.Transpose(undo))
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "jpeg", exif=exif, quality=100, subsampling=0)
    again = opened(encode(opened(buffer.getvalue()), image_format))
    assert again.size == (32, 16)
    assert again.getexif().get(0x0112, 1) == 1
    assert max(np.abs(np.subtract(again.convert("RGB").getpixel((2, 2)), (254, 0, 0)))) < 12
    assert max(np.abs(np.subtract(again.convert("RGB").getpixel((28, 12)), (255,) * 3))) < 12


@pytest.mark.parametrize("image_format", ["gif", "webp", "avif"])
def test_an_animation_keeps_its_frames_and_their_times(image_format: str) -> None:
    frames = [PillowImage.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "gif", save_all=True, append_images=frames[1:], duration=[50, 100, 200], loop=0
    )
    again = opened(encode(opened(buffer.getvalue()), image_format))
    assert again.n_frames == 3
    durations = []
    for number in range(3):
        again.seek(number)
        again.load()
        durations.append(round(again.info["duration"]))
    assert durations == [50, 100, 200]
    assert opened(encode(opened(buffer.getvalue()), "png")).n_frames == 1


def test_quality_makes_files_smaller() -> None:
    noisy = PillowImage.effect_noise((96, 96), 90).convert("RGB")
    for image_format in ("jpeg", "webp", "avif"):
        small, large = (len(encode(noisy, image_format, quality=q)) for q in (20, 95))
        assert small < large


def test_jpeg_keeps_its_colours_whole() -> None:
    assert opened(encode(COLOURS, "jpeg")).layer[1][1:3] == (1, 1)


@pytest.mark.parametrize(
    ("size", "image_format"), [((0, 5), "png"), ((70_000, 1), "jpeg"), ((20_000, 1), "webp")]
)
def test_what_a_format_cannot_hold_is_said_with_its_size(size, image_format: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"{size[0]}x{size[1]}"):
        encode(PillowImage.new("RGB", size), image_format)


def test_facts_are_those_of_the_upright_picture() -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    PillowImage.new("RGB", (30, 10)).save(buffer, "jpeg", exif=exif)
    facts = facts_in(buffer.getvalue(), url=None)
    assert facts == {"width": 10, "height": 30, "frames": 1, "codec": "jpeg"}
    with pytest.raises(BrokenImageError):
        facts_in(b"<svg/>", url=None)
