"""Scans and frames are counted as the decoders would meet them, and no further than a bound."""

import io
import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from towpath.codecs.counts import frames_by_seeking, gif_frames, jpeg_scans


def encoded(image: PillowImage.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(*size: int) -> PillowImage.Image:
    return PillowImage.effect_noise(size, 90).convert("RGB")


def scans_added(data: bytes, number: int) -> bytes:
    """Repeat the last scan of a progressive JPEG."""
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * number + data[-2:]


BASE = encoded(noise(64, 64), "jpeg")
PROGRESSIVE = encoded(noise(64, 64), "jpeg", progressive=True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(BASE, 1, id="baseline"),
        pytest.param(PROGRESSIVE, 10, id="progressive"),
        pytest.param(scans_added(PROGRESSIVE, 5), 15, id="more of them"),
        pytest.param(scans_added(PROGRESSIVE, 400), 101, id="no more than the bound and one"),
        pytest.param(PROGRESSIVE + b"\xff\xda" * 400, 10, id="what follows the end is no scan"),
        pytest.param(
            encoded(noise(64, 64), "jpeg", exif=b"Exif\0\0" + b"\xff\xda\x00\x02" * 200),
            1,
            id="nor is what lies in a segment",
        ),
        pytest.param(encoded(noise(64, 64), "jpeg", restart_marker_blocks=2), 1, id="restarts"),
        pytest.param(
            PROGRESSIVE[:2] + b"\xff\x01" + PROGRESSIVE[2:], 10, id="a marker without a length"
        ),
        pytest.param(PROGRESSIVE.replace(b"\xff\xda", b"\xff\xff\xff\xda"), 10, id="fill bytes"),
        pytest.param(PROGRESSIVE[:120], 0, id="cut off"),
        pytest.param(b"\xff\xd8", 0, id="nothing"),
    ],
)
def test_scans_of_a_jpeg(data: bytes, expected: int) -> None:
    assert jpeg_scans(data) == expected


def test_a_run_of_fill_bytes_takes_no_time_squared() -> None:
    """A search that began anew at each byte would take hours, and meet the test's time limit."""
    assert jpeg_scans(b"\xff\xd8" + b"\xff" * 20_000_000 + b"\x00" * 10) == 0


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 40)), min_size=1, max_size=12),
    st.booleans(),
)
def test_frames_of_a_gif_are_those_that_pillow_finds(sizes: list, is_mapped: bool) -> None:
    frames = [noise(width, height) for width, height in sizes]
    data = encoded(frames[0], "gif", save_all=True, append_images=frames[1:], comment=b"!,;" * 99)
    with PillowImage.open(io.BytesIO(data)) as image:
        expected = image.n_frames
    if not is_mapped:
        assert gif_frames(data) == expected
        return
    with mmap.mmap(-1, len(data)) as mapped:
        mapped.write(data)
        assert gif_frames(mapped) == expected


def test_frames_of_a_gif_after_bytes_of_no_block_count() -> None:
    one = encoded(noise(8, 8), "gif")
    start = one.index(b",\0\0\0\0\x08")
    image = one[start:-1]
    data = one[:-1] + (b"\x00junk" + image) * 3 + b";" + image * 5
    with PillowImage.open(io.BytesIO(data)) as opened:
        assert opened.n_frames == 4
    assert gif_frames(data) == 4
    assert gif_frames(one[:-1] + image * 50, most=10) == 11


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"GIF89a" + b"\xff" * 30, b"GIF89a" + b"," * 99])
def test_what_is_no_gif_has_few_frames(data: bytes) -> None:
    assert gif_frames(data) <= len(data)


def test_seeking_ends_at_the_bound() -> None:
    def three(number: int) -> None:
        if number == 3:
            raise EOFError

    assert frames_by_seeking(three) == 3
    assert frames_by_seeking(lambda _number: None, most=7) == 8
