"""FileInput and its kin: URLs that callers give, with the ways to the bytes behind them.

They are texts: code that treats them as the URL runs as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Self, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from towpath.concurrency import in_thread
from towpath.downloads.download import fetch_into
from towpath.downloads.wanted import wanted
from towpath.files.audio import Audio
from towpath.files.facts import MediaFacts
from towpath.files.file import File
from towpath.files.image import Image
from towpath.files.urls import checked_url
from towpath.files.video import Video
from towpath.temporaries import Temporary

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

__all__ = ["AudioInput", "FileInput", "ImageInput", "VideoInput"]

_MOST_INLINE = 64 * 2**20
F = TypeVar("F", bound=File)


class FileInput(str):  # noqa: SLOT000 - it remembers where its content lies
    """A file that a caller gives: a URL, a data: URI, an object with `url`, or an upload.

    Its value is the URL. What was fetched once is not fetched again.
    """

    kind: ClassVar[str] = "file"
    file_type: ClassVar[type[File]] = File
    _path: Path | None = None

    @classmethod
    def _from(cls, value: object) -> Self:
        """Take what callers send."""
        if isinstance(value, dict):
            value = value.get("url")
        elif isinstance(value, File):
            value = value.url
        if not isinstance(value, str):
            message = "value must be a URL, a data: URI, or an object with url"
            raise ValueError(message)  # noqa: TRY004 - pydantic turns it into a 422
        if value[:5].lower() == "data:" and len(value) > _MOST_INLINE * 4 // 3 + 256:
            message = f"inline data is at most {_MOST_INLINE} bytes; send a URL or upload the file"
            raise ValueError(message)
        return cls(checked_url(value))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate with `_from`; serialise as text."""
        return core_schema.no_info_plain_validator_function(
            cls._from, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe a text with the hint that forms read."""
        return {"type": "string", "format": "uri", "ui": {"field": cls.kind}}

    def to_file(self) -> File:
        """Return the file type of this kind."""
        return self._as(self.file_type)

    def _as(self, kind: type[F]) -> F:
        """Return the file, which knows where its content lies if it is here."""
        file = kind(url=str(self))
        return file if self._path is None else file._lying_at(self._path)  # noqa: SLF001 - of the same room

    def as_bytes(self) -> bytes:
        """Return the content, fetched through the guard.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self.to_file().as_bytes()

    def open(self) -> BinaryIO:
        """Open the content for reading.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self.to_path().open("rb")

    def to_path(self) -> Path:
        """Return a local path of the content; fetched once, and removed as for File.to_path.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self._fetch()

    def _fetch(self, limit: int | None = None) -> Path:
        """Return what `to_path` does, but refuse to fetch more than *limit* bytes.

        Raises:
            FileTooLargeError: it has more.
            DownloadError: the URL cannot be read.
        """
        self._path = self.to_file()._fetch(limit)  # noqa: SLF001 - of the same room
        return self._path

    def probe(self) -> MediaFacts:
        """Return what a picture, a video or a sound is like.

        Raises:
            DownloadError: the URL cannot be read.
            MediaError: it is none that is read here.
        """
        self.to_path()
        return self.to_file().probe()

    @contextmanager
    def as_temp_file(self) -> Iterator[Path]:
        """Give a local path of the content that is removed when the block ends.

        Raises:
            DownloadError: the URL cannot be read.
        """
        with Temporary() as folder:
            yield fetch_into(wanted(str(self)), folder)

    async def as_bytes_async(self) -> bytes:
        """Do what `as_bytes` does, off the event loop."""
        return await in_thread(self.as_bytes)()

    async def to_path_async(self) -> Path:
        """Do what `to_path` does, off the event loop."""
        return await in_thread(self.to_path)()


class ImageInput(FileInput):
    """An image that a caller gives."""

    kind: ClassVar[str] = "image"
    file_type: ClassVar[type[File]] = Image

    def to_pil(self, mode: str | None = "RGB") -> PILImage:
        """Return the image, orientation applied, in *mode*; None keeps the image's own.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenImageError: it is not a whole image.
            ImageTooLargeError: it has more pixels than TOWPATH_IMAGE_MAX_PIXELS.
        """
        return self._as(Image).to_pil(mode)

    def to_array(self, mode: str = "RGB") -> NDArray[np.uint8]:
        """Return the image, orientation applied, as uint8 HxWxC.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenImageError: it is not a whole image.
            ImageTooLargeError: it has more pixels than TOWPATH_IMAGE_MAX_PIXELS.
        """
        return self._as(Image).to_array(mode)

    async def to_pil_async(self, mode: str | None = "RGB") -> PILImage:
        """Do what `to_pil` does, off the event loop."""
        return await in_thread(self.to_pil)(mode)


class VideoInput(FileInput):
    """A video that a caller gives."""

    kind: ClassVar[str] = "video"
    file_type: ClassVar[type[File]] = Video

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every picture, upright, as uint8 HxWx3; see Video.frames.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenMediaError: it is no video, is damaged, or is too long.
            ImageTooLargeError: its pictures have more pixels than TOWPATH_IMAGE_MAX_PIXELS.
        """
        self.to_path()
        return self._as(Video).frames()

    def poster(self, at: float = 0.0) -> PILImage:
        """Return the picture that is seen at *at* seconds; see Video.poster.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenMediaError: as for frames.
            ImageTooLargeError: as for frames.
        """
        self.to_path()
        return self._as(Video).poster(at)


class AudioInput(FileInput):
    """A sound that a caller gives."""

    kind: ClassVar[str] = "audio"
    file_type: ClassVar[type[File]] = Audio

    def to_array(self, sample_rate: int | None = None) -> tuple[NDArray[np.float32], int]:
        """Return the samples, float32 of (n, channels), and their rate; see Audio.to_array.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenMediaError: it is no sound, is damaged, or is too long.
        """
        self.to_path()
        return self._as(Audio).to_array(sample_rate)
