"""FileInput and its kin: URLs that callers give, with the ways to the bytes behind them.

They are texts: code that treats them as the URL runs as it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from towpath.concurrency import in_thread
from towpath.context import places
from towpath.downloads.download import download_file, fetch_into
from towpath.downloads.wanted import wanted
from towpath.files.audio import Audio
from towpath.files.file import File, checked_url
from towpath.files.image import Image
from towpath.files.video import Video

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["AudioInput", "FileInput", "ImageInput", "VideoInput"]

_MOST_INLINE = 64 * 2**20


class FileInput(str):
    """A file that a caller gives: a URL, a data: URI, an object with `url`, or an upload.

    Its value is the URL.
    """

    __slots__ = ()

    kind: ClassVar[str] = "file"
    file_type: ClassVar[type[File]] = File

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
        return self.file_type(url=str(self))

    def as_bytes(self) -> bytes:
        """Return the content, fetched through the guard.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self.to_file().as_bytes()

    def to_path(self) -> Path:
        """Return a local path of the content, in the runner's temp folder; fetched once.

        Raises:
            DownloadError: the URL cannot be read.
        """
        folder = places().temp or Path(tempfile.gettempdir())
        return download_file(str(self), folder / "towpath-inputs")

    @contextmanager
    def as_temp_file(self) -> Iterator[Path]:
        """Give a local path of the content that is removed when the block ends.

        Raises:
            DownloadError: the URL cannot be read.
        """
        folder = tempfile.mkdtemp(prefix="towpath-input-", dir=places().temp)
        try:
            yield fetch_into(wanted(str(self)), Path(folder))
        finally:
            rmtree(folder, ignore_errors=True)

    async def as_bytes_async(self) -> bytes:
        """Do what `as_bytes` does, off the event loop."""
        return await in_thread(self.as_bytes)()

    async def to_path_async(self) -> Path:
        """Do what `to_path` does, off the event loop."""
        return await in_thread(self.to_path)()


class ImageInput(FileInput):
    """An image that a caller gives."""

    __slots__ = ()
    kind: ClassVar[str] = "image"
    file_type: ClassVar[type[File]] = Image

    def to_pil(self, mode: str | None = "RGB") -> PILImage:
        """Return the image, orientation applied, in *mode*; None keeps the image's own.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenImageError: it is not a whole image.
            ImageTooLargeError: it has more pixels than TOWPATH_IMAGE_MAX_PIXELS.
        """
        return Image(url=str(self)).to_pil(mode)

    async def to_pil_async(self, mode: str | None = "RGB") -> PILImage:
        """Do what `to_pil` does, off the event loop."""
        return await in_thread(self.to_pil)(mode)


class VideoInput(FileInput):
    """A video that a caller gives."""

    __slots__ = ()
    kind: ClassVar[str] = "video"
    file_type: ClassVar[type[File]] = Video


class AudioInput(FileInput):
    """A sound that a caller gives."""

    __slots__ = ()
    kind: ClassVar[str] = "audio"
    file_type: ClassVar[type[File]] = Audio
