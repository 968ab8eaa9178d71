"""Trim a clip and slow it down: a video URL in, an MP4 that every browser plays out."""

from collections.abc import Iterator

import numpy as np
from pydantic import BaseModel, Field

import towpath
from towpath.errors import MediaError

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
        try:
            rate = request.video_url.probe().fps
            if rate is None:
                message = "There are no moving pictures in this; send an MP4, MOV or WebM."
                raise towpath.InputError(message, "video_url")
            video = towpath.Video.from_frames(wanted(request, rate), rate / request.factor)
        except MediaError:
            message = "This is not a video that can be decoded; send an MP4, MOV or WebM."
            raise towpath.InputError(message, "video_url") from None
        facts = video.metadata or video.probe()
        return SlowMotionOutput(
            video=video, frames=facts.frames or 0, seconds=round(facts.duration or 0, 6)
        )


def wanted(request: SlowMotionInput, rate: float) -> Iterator[np.ndarray]:
    """Yield the frames between start and end, at most 3000."""
    first = round(request.start * rate)
    last = first + _MOST_FRAMES
    if request.duration is not None:
        last = min(last, first + max(1, round(request.duration * rate)))
    number = -1
    for number, frame in enumerate(request.video_url.frames()):
        if number >= last:
            return
        if number >= first:
            yield frame
    if number < first:
        message = f"There are no frames after {request.start:g} s; start earlier."
        raise towpath.InputError(message, "start")
