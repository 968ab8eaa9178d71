"""Frames to an MP4 that every browser plays: H.264, yuv420p, the index first, sound as AAC."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.codecs.arrays import image_of, pixels_of
from towpath.codecs.images import flattened
from towpath.codecs.sounds import checked_rate, samples_of, sound_frames
from towpath.errors import SettingsError, UnsupportedFormatError
from towpath.temporaries import telling_full

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Clip", "check_encoder", "encode_clip"]

_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "mpeg4")
_QUALITY = 80
_MOST_FPS = 1000
_BT709 = 1
_LIMITED = 1
_KEY_SECONDS = 2
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AAC_CHANNELS = 2


@dataclass(frozen=True, slots=True)
class Clip:
    """What was written.

    Attributes:
        width: pixels across, even.
        height: pixels down, even.
        frames: how many.
        fps: frames a second.
        codec: the encoder's codec, such as h264.
    """

    width: int
    height: int
    frames: int
    fps: float
    codec: str

    @property
    def duration(self) -> float:
        """Return its seconds."""
        return self.frames / self.fps


def encode_clip(
    target: Path,
    frames: Iterable[object],
    fps: float,
    *,
    audio: tuple[object, int] | None = None,
    quality: int | None = None,
    encoder: str = "auto",
) -> Clip:
    """Write *frames* to *target*; they are taken one at a time, so that an iterator may be long.

    Args:
        target: a path; MP4 with its index first cannot be written to memory.
        frames: arrays, tensors or PIL images of one size; an odd side gets one more pixel.
        fps: frames a second.
        audio: samples and their rate; see samples_of.
        quality: 1 to 100; 80 by default.
        encoder: FFmpeg's name of an encoder; `auto` takes the first H.264 encoder there is.

    Raises:
        UnsupportedFormatError: there is no frame, they differ in size, or one is no picture.
        TemporaryFullError: the disk has no room for it.
    """
    if isinstance(fps, bool) or not 0 < fps <= _MOST_FPS or not math.isfinite(fps):
        message = f"fps={fps}; give frames a second, above 0 and at most {_MOST_FPS}"
        raise UnsupportedFormatError(message, kind="video")
    pictures = _pictures(frames)
    first = next(pictures, None)
    if first is None:
        message = "There are no frames; a video needs at least one."
        raise UnsupportedFormatError(message, kind="video")
    sound = _Sound(*audio) if audio is not None else None
    try:
        with telling_full():
            writer = _Writer(target, first, fps, quality, encoder)
            return writer.write(chain([first], pictures), sound)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _pictures(frames: Iterable[object]) -> Iterator[NDArray[np.uint8]]:
    """Yield each frame as HxWx3 with even sides, all of one size."""
    size: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        picture = _rgb(frame)
        if size is not None and picture.shape != size:
            message = (
                f"Frame {number} has {picture.shape[1]}x{picture.shape[0]} pixels, and the first "
                f"one has {size[1]}x{size[0]}; give frames of one size."
            )
            raise UnsupportedFormatError(message, kind="video")
        size = picture.shape
        yield _even(picture)


def _rgb(frame: object) -> NDArray[np.uint8]:
    """Return one frame as HxWx3."""
    import numpy as np  # noqa: PLC0415 - when the first frame comes

    if not hasattr(frame, "convert"):
        pixels = pixels_of(frame)
        if pixels.ndim == 3 and pixels.shape[2] == 3:  # noqa: PLR2004 - colours
            return np.ascontiguousarray(pixels)
    return np.asarray(flattened(image_of(frame)))


def _even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the last row and column where a side is odd: 4:2:0 halves both."""
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    import numpy as np  # noqa: PLC0415 - as above

    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


class _Sound:
    """Samples that go beside the frames."""

    def __init__(self, samples: object, sample_rate: int) -> None:
        self.rate = checked_rate(sample_rate)
        self.samples = samples_of(samples)
        if self.samples.shape[1] > _AAC_CHANNELS:
            message = f"A video's sound has 1 or 2 channels; this has {self.samples.shape[1]}."
            raise UnsupportedFormatError(message, kind="audio")
        self.layout = "mono" if self.samples.shape[1] == 1 else "stereo"

    @property
    def written_rate(self) -> int:
        """Return the rate that AAC has, at least that of the samples if there is one."""
        return next((rate for rate in _AAC_RATES if rate >= self.rate), _AAC_RATES[-1])


class _Writer:
    """One MP4 being written."""

    def __init__(
        self,
        target: Path,
        first: NDArray[np.uint8],
        fps: float,
        quality: int | None,
        encoder: str,
    ) -> None:
        import av  # noqa: PLC0415 - when the first frame comes

        self._fps = fps
        self._height, self._width = first.shape[:2]
        self._container = av.open(
            str(target), "w", format="mp4", options={"movflags": "+faststart"}
        )
        rate = Fraction(fps).limit_denominator(100_000)
        self._video: Any = self._container.add_stream(_available(encoder), rate=rate)  # av's union
        video: Any = self._video
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        video.width, video.height = self._width, self._height
        video.pix_fmt = "yuv420p"
        video.options = _options(quality, fps, context.name)

    def write(self, pictures: Iterable[NDArray[np.uint8]], sound: _Sound | None) -> Clip:
        """Write everything, frames and sound side by side."""
        count = 0
        with self._container as container:
            track = self._track(sound)
            for count, picture in enumerate(pictures, 1):
                container.mux(self._video.encode(self._frame(picture)))
                track.write_until(count / self._fps)
            container.mux(self._video.encode(None))
            track.write_until(math.inf)
        codec = self._video.codec_context.codec.canonical_name
        return Clip(self._width, self._height, count, self._fps, codec)

    def _track(self, sound: _Sound | None) -> _Track:
        """Add the sound's stream."""
        if sound is None:
            return _Track(self._container, None, iter(()), 1)
        stream = self._container.add_stream("aac", rate=sound.written_rate, layout=sound.layout)
        stream.bit_rate = 192_000
        frames = sound_frames(sound.samples, sound.rate)
        return _Track(self._container, stream, frames, sound.rate)

    def _frame(self, picture: NDArray[np.uint8]) -> Any:  # noqa: ANN401 - av's frame
        """Convert one picture by the matrix that the file names."""
        import av  # noqa: PLC0415 - as above

        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


class _Track:
    """Sound on its way into a file."""

    def __init__(self, container: Any, stream: Any, frames: Iterator[Any], rate: int) -> None:  # noqa: ANN401 - av's
        self._container, self._stream, self._frames, self._rate = container, stream, frames, rate
        self._seconds = 0.0
        self._is_over = stream is None

    def write_until(self, seconds: float) -> None:
        """Write what sounds before *seconds*."""
        while not self._is_over and self._seconds <= seconds:
            frame = next(self._frames, None)
            self._container.mux(self._stream.encode(frame))
            if frame is None:
                self._is_over = True
            else:
                self._seconds += frame.samples / self._rate


def check_encoder(encoder: str) -> None:
    """Refuse a setting that names an encoder which this machine's FFmpeg does not have.

    Raises:
        SettingsError: it does.
    """
    if encoder == "auto":
        return
    try:
        _available(encoder)
    except UnsupportedFormatError as error:
        message = f"TOWPATH_VIDEO_ENCODER cannot be used: {error} Name one of it, or auto."
        raise SettingsError(message) from None


def _available(encoder: str) -> str:
    """Return the encoder that is asked for, or the first that this machine has."""
    import av  # noqa: PLC0415 - as above

    names = _ENCODERS if encoder == "auto" else (encoder,)
    for name in names:
        if name in av.codecs_available:
            return name
    message = f"This machine's FFmpeg has no video encoder {' or '.join(names)}."
    raise UnsupportedFormatError(message, kind="video")


def _options(quality: int | None, fps: float, codec: str) -> dict[str, str]:
    """Return what the encoder is told."""
    chosen = _QUALITY if quality is None else min(max(quality, 1), 100)
    group = {"g": str(max(1, round(_KEY_SECONDS * fps)))}
    if codec == "libx264":
        return group | {"crf": str(round(40 - 0.275 * chosen)), "preset": "veryfast"}
    return group
