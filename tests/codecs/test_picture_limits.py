"""Frames of a picture and scans of a JPEG, each at its limit and one beyond."""

import io

import pytest
from PIL import Image as PillowImage

from towpath.codecs import images
from towpath.codecs.images import decode
from towpath.errors import BrokenImageError


def animation(image_format: str, frames: int) -> bytes:
    pictures = [PillowImage.new("L", (2, 2), number * 40) for number in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, image_format, save_all=True, append_images=pictures[1:], duration=40)
    return out.getvalue()


def read(data: bytes) -> PillowImage.Image:
    return decode(data, "RGB", most_pixels=100_000, url=None)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_a_picture_has_as_many_frames_as_it_may_and_no_more(
    image_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_FRAMES", 4)
    assert read(animation(image_format, 4)).size == (2, 2)
    with pytest.raises(BrokenImageError, match="more than 4 frames"):
        read(animation(image_format, 5))


def test_a_jpeg_has_as_many_scans_as_it_may_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    PillowImage.radial_gradient("L").convert("RGB").save(out, "JPEG", progressive=True)
    scans = out.getvalue().count(b"\xff\xda")
    assert scans > 3
    monkeypatch.setattr(images, "MOST_SCANS", scans)
    assert read(out.getvalue()).size == (256, 256)
    monkeypatch.setattr(images, "MOST_SCANS", scans - 1)
    with pytest.raises(BrokenImageError, match=f"more than {scans - 1} scans"):
        read(out.getvalue())
