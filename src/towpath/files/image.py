"""Image: a File with width and height, to and from PIL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from pydantic import ConfigDict
from typing_extensions import override

from towpath.codecs import choice
from towpath.codecs import images as codec
from towpath.codecs.arrays import image_of
from towpath.concurrency import in_thread, side_by_side
from towpath.errors import UnsupportedFormatError
from towpath.files.facts import MediaFacts
from towpath.files.file import File
from towpath.files.image_size import ImageSize
from towpath.files.upload_options import UploadOptions, described, upload
from towpath.settings import active
from towpath.uploads.uploader import Payload, Uploaded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

__all__ = ["Image"]

_BYTES_A_PIXEL = 8  # of 16-bit RGBA, uncompressed: no image that is decoded is larger
_HEADER = 2**20


class Image(File):
    """An image with a public URL; the Playground shows it.

    Attributes:
        width: pixels across; None when unknown.
        height: pixels down; None when unknown.
    """

    model_config = ConfigDict(
        json_schema_extra={"description": "An image with a public URL.", "ui": {"field": "image"}}
    )

    width: int | None = None
    height: int | None = None

    @classmethod
    def from_pil(
        cls,
        pil_image: PILImage,
        format: str | None = None,  # noqa: A002 - the seed's signature
        file_name: str | None = None,
        *,
        quality: int | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Encode and upload a PIL image.

        Args:
            pil_image: any mode; transparency becomes white where the format has none.
            format: png, jpeg (or jpg), webp, gif, bmp, tiff or avif in any letter case; by
                default the image's own, else png.
            file_name: the name that people see; a random one by default.
            quality: 1 to 100, for formats that lose something; JPEG has 95 by default.
            options: see UploadOptions.

        Raises:
            UnsupportedFormatError: images are not written in that format.
            UploadError: it could not be stored.
        """
        word = choice.format_named(format) if format else _own_format(pil_image)
        data = codec.encode(pil_image, word, quality=quality)
        payload = described(data, choice.content_type_of(word), file_name)
        image = cls._uploaded_with(payload, codec.size_seen(pil_image), options)
        return image.holding(data)

    @classmethod
    def from_array(
        cls,
        array: object,
        format: str = "png",  # noqa: A002 - as from_pil
        file_name: str | None = None,
        *,
        quality: int | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Encode and upload an array or a tensor.

        Args:
            array: HxW, or HxWxC with 1 to 4 channels (grey, grey and alpha, RGB, RGBA); a tensor
                with its channels first; a batch of one. uint8, bool, other integers of 0 to 255,
                uint16 for a grey picture, or floats of 0 to 1.
            format: as for from_pil.
            file_name: the name that people see; a random one by default.
            quality: as for from_pil.
            options: see UploadOptions.

        Raises:
            UnsupportedFormatError: it is no picture, or images are not written in that format.
            UploadError: it could not be stored.
        """
        return cls.from_pil(image_of(array), format, file_name, quality=quality, **options)

    @classmethod
    def from_pils(
        cls,
        images: Iterable[PILImage],
        format: str | None = None,  # noqa: A002 - as from_pil
        *,
        quality: int | None = None,
        **options: Unpack[UploadOptions],
    ) -> list[Self]:
        """Encode and upload several PIL images side by side; return them in the same order.

        Args:
            images: see from_pil.
            format: as for from_pil.
            quality: as for from_pil.
            options: see UploadOptions.

        Raises:
            UnsupportedFormatError: images are not written in that format.
            UploadError: one could not be stored; the others may have been.
        """
        return side_by_side(
            lambda image: cls.from_pil(image, format, quality=quality, **options), images
        )

    @classmethod
    @override
    def from_bytes(  # type: ignore[override]  # the seed fixes both signatures
        cls,
        data: bytes,
        format: str,
        size: ImageSize | tuple[int, int] | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Upload an encoded image.

        Args:
            data: the encoded image; it is stored as it is.
            format: png, jpeg (or jpg), webp, gif, bmp, tiff or avif in any letter case.
            size: width and height; read from the image's header when not given.
            file_name: the name that people see; a random one by default.
            options: see UploadOptions.

        Raises:
            UnsupportedFormatError: the format is not one of these.
            UploadError: it could not be stored.
        """
        word = choice.format_named(format)
        payload = described(data, choice.content_type_of(word), file_name)
        pair = (size.width, size.height) if isinstance(size, ImageSize) else size
        image = cls._uploaded_with(payload, pair or codec.size_in(data), options)
        return image.holding(data)

    @classmethod
    @override
    def _built(cls, payload: Payload, uploaded: Uploaded) -> Self:
        """Describe what was uploaded, of any format; its size where its header can be read."""
        image = super()._built(payload, uploaded)
        data = payload.data if isinstance(payload.data, bytes | Path) else None
        size = codec.size_in(data) if data else None
        return image._sized(size)  # noqa: SLF001 - its own

    @classmethod
    def _uploaded_with(
        cls, payload: Payload, size: tuple[int, int] | None, options: UploadOptions
    ) -> Self:
        """Upload *payload* as an image of *size*."""
        image = super()._built(*upload(payload, options))
        return image._sized(size)  # noqa: SLF001 - its own

    def _sized(self, size: tuple[int, int] | None) -> Self:
        """Note width and height, where they are known; return the image."""
        if size is not None:
            self.width, self.height = size
        return self

    def to_pil(self, mode: str | None = "RGB") -> PILImage:
        """Return the image, orientation applied, in *mode*; None keeps the image's own.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenImageError: it is not a whole image.
            ImageTooLargeError: it has more pixels than TOWPATH_IMAGE_MAX_PIXELS.
            FileTooLargeError: it has more bytes than such an image can have.
        """
        most = active().image_max_pixels
        data = self._fetched(most * _BYTES_A_PIXEL + _HEADER)
        return codec.decode(data, mode, most_pixels=most, url=self.url)

    @override
    def probe(self) -> MediaFacts:
        """Fill `metadata` with what the picture is like, and return it.

        Raises:
            DownloadError: the URL cannot be read.
            MediaError: it is no picture that is read here, or too large.
        """
        self.metadata = MediaFacts(**codec.facts_in(self._content(), url=self.url))
        return self.metadata

    def to_array(self, mode: str = "RGB") -> NDArray[np.uint8]:
        """Return the image, orientation applied, as uint8 HxWxC (HxW for a mode of one channel).

        Raises:
            DownloadError: the URL cannot be read.
            BrokenImageError: it is not a whole image.
            ImageTooLargeError: it has more pixels than TOWPATH_IMAGE_MAX_PIXELS.
        """
        import numpy as np  # noqa: PLC0415 - when it is needed

        return np.array(self.to_pil(mode))

    @classmethod
    async def from_pil_async(
        cls,
        pil_image: PILImage,
        format: str | None = None,  # noqa: A002 - as from_pil
        file_name: str | None = None,
        *,
        quality: int | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_pil` does, off the event loop."""
        call = in_thread(cls.from_pil)
        return await call(pil_image, format, file_name, quality=quality, **options)

    @classmethod
    async def from_array_async(
        cls,
        array: object,
        format: str = "png",  # noqa: A002 - as from_pil
        file_name: str | None = None,
        *,
        quality: int | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_array` does, off the event loop."""
        call = in_thread(cls.from_array)
        return await call(array, format, file_name, quality=quality, **options)

    @classmethod
    async def from_pils_async(
        cls,
        images: Iterable[PILImage],
        format: str | None = None,  # noqa: A002 - as from_pil
        *,
        quality: int | None = None,
        **options: Unpack[UploadOptions],
    ) -> list[Self]:
        """Do what `from_pils` does, off the event loop."""
        return await in_thread(cls.from_pils)(images, format, quality=quality, **options)

    @classmethod
    @override
    async def from_bytes_async(  # type: ignore[override]  # as from_bytes
        cls,
        data: bytes,
        format: str,
        size: ImageSize | tuple[int, int] | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_bytes` does, off the event loop."""
        return await in_thread(cls.from_bytes)(data, format, size, file_name, **options)

    async def to_pil_async(self, mode: str | None = "RGB") -> PILImage:
        """Do what `to_pil` does, off the event loop."""
        return await in_thread(self.to_pil)(mode)


def _own_format(image: PILImage) -> str:
    """Return the format that an opened image came in, or png."""
    try:
        return choice.format_named(image.format) if image.format else "png"
    except UnsupportedFormatError:
        return "png"
