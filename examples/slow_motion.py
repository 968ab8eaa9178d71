"""Trim a clip and slow it down: a video URL in, an MP4 that every browser plays out."""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from pydantic import BaseModel, Field

import towpath

_FORMATS = "mov,mp4,matroska,webm,avi"
_MOST_FRAMES = 3000


class SlowMotionInput(BaseModel):
    """Which part of a clip, and how slow."""

    video_url: towpath.VideoInput = Field(description="An MP4, MOV, WebM, MKV or AVI.")
    start: float = Field(default=0, ge=0, description="Seconds into the clip.")
    duration: float | None = Field(default=None, gt=0, description="Seconds of the clip.")
    factor: float = Field(default=2, ge=1, le=8, description="How many times slower.")


class SlowMotionOutput(BaseModel):
    """The slow clip."""

    video: towpath.Video
    frames: int
    seconds: float


class SlowMotion(towpath.App, title="Slow motion"):
    """Trim a clip and play it slower."""

    @towpath.endpoint("/")
    def process(self, request: SlowMotionInput) -> SlowMotionOutput:
        """Return the part of the clip, `factor` times slower, without sound."""
        with request.video_url.as_temp_file() as path, tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "slow.mp4"
            try:
                with open_media(path) as source:
                    frames, rate = write_slow(source, target, request)
            except (av.FFmpegError, ValueError, IndexError, MemoryError):
                message = "This is not a video that can be decoded; send an MP4, MOV or WebM."
                raise towpath.InputError(message, "video_url") from None
            if not frames:
                message = f"There are no frames after {request.start:g} s; start earlier."
                raise towpath.InputError(message, "start")
            video = towpath.Video.from_path(target, move=True)
        return SlowMotionOutput(video=video, frames=frames, seconds=float(frames / rate))


def open_media(path: Path) -> InputContainer:
    """Open a stranger's media file: no protocols, no playlists, only these formats."""
    options = {"protocol_whitelist": "none", "format_whitelist": _FORMATS}
    return av.open(path.open("rb", buffering=0), "r", options=options)


def write_slow(
    source: InputContainer, target: Path, request: SlowMotionInput
) -> tuple[int, Fraction]:
    """Encode the wanted frames at a lower rate; return how many there are and the rate."""
    stream = source.streams.video[0]
    rate = Fraction(stream.average_rate or 25).limit_denominator(1000)
    slow = (rate / Fraction(request.factor)).limit_denominator(1000)
    count = 0
    with av.open(str(target), "w", options={"movflags": "faststart"}) as sink:
        output: Any = sink.add_stream("libx264", rate=slow)
        output.pix_fmt = "yuv420p"
        for frame in wanted(source, request):
            if count == 0:  # H.264 with yuv420p needs even sides
                output.width, output.height = frame.width // 2 * 2, frame.height // 2 * 2
            picture = frame.reformat(output.width, output.height, "yuv420p")
            picture.pts, picture.time_base = count, 1 / slow
            mux(sink, output, picture)
            count += 1
        if count:
            mux(sink, output, None)
    return count, slow


def wanted(source: InputContainer, request: SlowMotionInput) -> Iterator[av.VideoFrame]:
    """Yield the frames between start and end, at most 3000."""
    end = None if request.duration is None else request.start + request.duration
    seen = 0
    for frame in source.decode(video=0):
        at = float(frame.time or 0)
        if end is not None and at >= end:
            return
        if at >= request.start:
            seen += 1
            if seen > _MOST_FRAMES:
                return
            yield frame


def mux(sink: OutputContainer, output: Any, frame: av.VideoFrame | None) -> None:  # noqa: ANN401 - PyAV's streams are loosely typed
    """Encode a frame, or flush at None."""
    for packet in output.encode(frame):
        sink.mux(packet)
