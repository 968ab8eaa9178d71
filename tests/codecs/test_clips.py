from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as PillowImage
from tests.codecs.test_arrays import Tensor
from tests.codecs.test_sounds import peak_of, tone

from towpath.codecs.clips import encode_clip
from towpath.errors import UnsupportedFormatError


def frames(count: int = 12, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Colours that change from frame to frame."""
    pictures = []
    for number in range(count):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[:, :, 0] = 20 * number % 256
        picture[:, : width // 2, 1] = 200
        picture[: height // 2, :, 2] = 100
        pictures.append(picture)
    return pictures


def boxes(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        found.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    return found


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_browsers_play_it(tmp_path: Path) -> None:
    clip = encode_clip(tmp_path / "a.mp4", frames(), 24)
    assert (clip.width, clip.height, clip.frames, clip.fps, clip.codec) == (64, 48, 12, 24, "h264")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == 24
        assert stream.codec_context.colorspace == 1
    kinds = boxes((tmp_path / "a.mp4").read_bytes())
    assert kinds.index(b"moov") < kinds.index(b"mdat")


def test_frames_come_back_in_order_and_in_their_colours(tmp_path: Path) -> None:
    source = frames()
    encode_clip(tmp_path / "a.mp4", source, 24, quality=95)
    again = decoded(tmp_path / "a.mp4")
    assert len(again) == len(source)
    for got, expected in zip(again, source, strict=True):
        assert np.abs(got.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("fps", [1, 12.5, 23.976, 29.97, 60, 120])
def test_the_rate_is_kept(fps: float, tmp_path: Path) -> None:
    encode_clip(tmp_path / "a.mp4", frames(30), fps)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-3)
        assert float(container.duration / av.time_base) == pytest.approx(30 / fps, rel=0.02)


@pytest.mark.parametrize(
    "given",
    [
        np.stack(frames()),
        (picture for picture in frames()),
        [PillowImage.fromarray(picture) for picture in frames()],
        [picture.astype(np.float32) / 255 for picture in frames()],
        [Tensor(np.moveaxis(picture, 2, 0) / 255) for picture in frames()],
        [picture[:, :, 0] for picture in frames()],
        [np.dstack([picture, np.full((48, 64), 255, np.uint8)]) for picture in frames()],
        [PillowImage.fromarray(picture).convert("P") for picture in frames()],
    ],
    ids=["array", "iterator", "pil", "floats", "tensors", "grey", "alpha", "palette"],
)
def test_whatever_holds_frames_will_do(given, tmp_path: Path) -> None:
    assert encode_clip(tmp_path / "a.mp4", given, 24).frames == 12
    assert len(decoded(tmp_path / "a.mp4")) == 12


def test_an_odd_side_gets_one_more_pixel(tmp_path: Path) -> None:
    clip = encode_clip(tmp_path / "a.mp4", frames(3, 33, 21), 24)
    assert (clip.width, clip.height) == (34, 22)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    clear = [PillowImage.new("RGBA", (32, 32), (255, 0, 0, 0))] * 3
    encode_clip(tmp_path / "a.mp4", clear, 24)
    assert decoded(tmp_path / "a.mp4")[0].min() > 245


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_goes_beside_the_frames(rate: int, channels: int, tmp_path: Path) -> None:
    encode_clip(tmp_path / "a.mp4", frames(48), 24, audio=(tone(rate, 2.0, channels), rate))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.channels) == ("aac", channels)
        blocks = [f.to_ndarray()[0] for f in container.decode(stream)]
        heard = np.concatenate(blocks)
        assert len(heard) / stream.rate == pytest.approx(2.0, abs=0.1)
        assert abs(peak_of(heard, stream.rate) - 440) < 5


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    alive = []

    def watched():
        for picture in frames(40):
            alive.append(picture.nbytes)
            yield picture.copy()

    assert encode_clip(tmp_path / "a.mp4", watched(), 24).frames == 40
    assert len(alive) == 40


@pytest.mark.parametrize(
    ("given", "fps", "word"),
    [
        ([], 24, "at least one"),
        ([*frames(2), *frames(1, 32, 32)], 24, "Frame 2 has 32x32 pixels, and the first one has"),
        ([np.zeros(5)], 24, "shape 5"),
        (frames(1), 0, "fps=0"),
        (frames(1), float("nan"), "fps=nan"),
        (frames(1), 2000, "fps=2000"),
    ],
)
def test_what_is_no_video_leaves_nothing_behind(given, fps, word: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match=word):
        encode_clip(tmp_path / "a.mp4", given, fps)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match="h264_nothing"):
        encode_clip(tmp_path / "a.mp4", frames(1), 24, encoder="h264_nothing")
    encode_clip(tmp_path / "a.mp4", frames(3), 24, encoder="mpeg4")
    assert len(decoded(tmp_path / "a.mp4")) == 3
