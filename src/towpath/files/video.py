"""Video: a File that the Playground plays as video, to and from frames."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Self, Unpack

from pydantic import ConfigDict

from towpath.codecs.arrays import image_of
from towpath.codecs.clips import encode_clip
from towpath.concurrency import in_thread
from towpath.files.facts import MediaFacts
from towpath.files.file import File
from towpath.files.upload_options import UploadOptions, described
from towpath.settings import active
from towpath.temporaries import Temporary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

__all__ = ["Video"]


class Video(File):
    """A video with a public URL. MP4 with H.264 plays in every browser."""

    model_config = ConfigDict(
        json_schema_extra={"description": "A video with a public URL.", "ui": {"field": "video"}}
    )

    @classmethod
    def from_frames(
        cls,
        frames: Iterable[object],
        fps: float,
        *,
        audio: tuple[object, int] | None = None,
        quality: int | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Encode *frames* as an MP4 that every browser plays, and upload it.

        H.264 with yuv420p and the index first. Frames are taken one at a time: an iterator may
        be as long as it likes.

        Args:
            frames: arrays HxW, HxWx3 or HxWx4 (uint8, or floats of 0 to 1), tensors with their
                channels first, or PIL images, all of one size; a whole NxHxWxC array will do.
                Transparency becomes white; an odd side gets one more pixel.
            fps: frames a second.
            audio: samples, (n,) or (n, 2), floats of -1 to 1 or int16, and their rate.
            quality: 1 to 100; 80 by default.
            file_name: the name that people see; a random one by default.
            options: see UploadOptions.

        Raises:
            UnsupportedFormatError: there is no frame, they differ in size, or one is no picture.
            UploadError: it could not be stored.
        """
        name = file_name or f"{secrets.token_hex(16)}.mp4"
        with Temporary() as folder:
            path = folder / "clip.mp4"
            encoder = active().video_encoder
            clip = encode_clip(path, frames, fps, audio=audio, quality=quality, encoder=encoder)
            video = cls._uploaded(described(path, "video/mp4", name, move=True), options)
        video.metadata = MediaFacts(
            width=clip.width,
            height=clip.height,
            duration=round(clip.duration, 6),
            fps=clip.fps,
            frames=clip.frames,
            codec=clip.codec,
        )
        return video

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every picture, upright, as uint8 HxWx3; decoded as they are taken.

        The decoder is a process of its own that can reach neither files nor the network.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenMediaError: it is no video, is damaged, or is longer than TOWPATH_MEDIA_MAX_FRAMES
                or TOWPATH_MEDIA_MAX_SECONDS.
            ImageTooLargeError: its pictures have more pixels than TOWPATH_IMAGE_MAX_PIXELS.
        """
        yield from self._media().pictures()

    def poster(self, at: float = 0.0) -> PILImage:
        """Return the picture that is seen at *at* seconds; the last one beyond the end.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenMediaError: as for frames.
            ImageTooLargeError: as for frames.
        """
        return image_of(self._media().picture(at))

    @classmethod
    async def from_frames_async(
        cls,
        frames: Iterable[object],
        fps: float,
        *,
        audio: tuple[object, int] | None = None,
        quality: int | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_frames` does, off the event loop."""
        call = in_thread(cls.from_frames)
        return await call(frames, fps, audio=audio, quality=quality, file_name=file_name, **options)
