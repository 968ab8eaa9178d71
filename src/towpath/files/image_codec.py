"""PIL images in and out of bytes, with limits that hold before anything is decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import UnidentifiedImageError

from towpath.errors import BrokenImageError, ImageTooLargeError, UnsupportedFormatError
from towpath.errors.redaction import shown

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["content_type_of", "decode", "encode", "format_named", "size_in"]

_READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_WRITE = {"png", "jpeg", "webp", "gif", "bmp", "tiff", "avif"}
_MODES: dict[str, tuple[str, ...]] = {
    "png": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "jpeg": ("RGB", "L", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P", "L", "RGB", "RGBA", "1"),
    "bmp": ("RGB", "L", "P", "1"),
    "tiff": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "F"),
    "avif": ("RGB", "RGBA"),
}
_ALPHA = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    EOFError,
    IndexError,
    KeyError,
)


def format_named(name: str) -> str:
    """Return the format that *name* means, in lower case; `jpg` is `jpeg`.

    Raises:
        UnsupportedFormatError: images are not written in it here.
    """
    word = name.lower().removeprefix("image/")
    word = {"jpg": "jpeg", "tif": "tiff"}.get(word, word)
    if word not in _WRITE:
        known = ", ".join(sorted(_WRITE | {"jpg"}))
        message = f"Images are not written as {shown(name, 40)!r}. Use one of {known}."
        raise UnsupportedFormatError(message)
    return word


def content_type_of(image_format: str) -> str:
    """Return the content type of a format."""
    return f"image/{image_format}"


# --- out -----------------------------------------------------------------------------------------


def encode(image: PILImage, image_format: str, *, quality: int | None = None) -> bytes:
    """Return *image* in *image_format* (a word of `format_named`).

    PNG is lossless and comes from the fast encoder where it is installed; JPEG has quality 95
    without chroma subsampling unless *quality* is given. Transparency becomes white in JPEG.
    """
    fitted = _fitted(image, image_format)
    if image_format == "png" and (fast := _fast_png()) and _is_plain(fitted):
        return fast(fitted)
    buffer = io.BytesIO()
    try:
        fitted.save(buffer, format=image_format, **_parameters(image_format, quality))
    except (KeyError, OSError) as error:
        message = f"This machine's Pillow cannot write a {image.mode} image as {image_format}"
        raise UnsupportedFormatError(message) from error
    return buffer.getvalue()


def _fitted(image: PILImage, image_format: str) -> PILImage:
    """Return *image* in a mode that the format has."""
    if image.mode in _MODES[image_format]:
        return image
    if image.mode in _DEEP and image_format not in {"png", "tiff"}:
        image = _eight_bit(image)
    if image.mode in _ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return rgba if "RGBA" in _MODES[image_format] else _on_white(rgba)
    if image.mode == "I":
        return image.convert("I;16")
    return image if image.mode in _MODES[image_format] else image.convert("RGB")


def _on_white(rgba: PILImage) -> PILImage:
    """Lay a transparent image on white."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    canvas = PillowImage.new("RGB", rgba.size, "white")
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas


def _parameters(image_format: str, quality: int | None) -> dict[str, Any]:  # Any: Pillow's options
    """Return what Pillow is told."""
    if image_format == "png":
        return {"compress_level": 1}
    if image_format == "jpeg":
        return {"quality": quality or 95, "subsampling": 0 if quality is None else -1}
    return {} if quality is None else {"quality": quality}


def _is_plain(image: PILImage) -> bool:
    """Return whether the fast encoder keeps everything: it writes neither profile nor text."""
    kept = {"icc_profile", "exif", "dpi", "gamma", "transparency", "XML:com.adobe.xmp", "xmp"}
    texts = bool(getattr(image, "text", None))
    return image.mode in {"RGB", "RGBA"} and not texts and not kept & set(image.info)


class _Encoders:
    """The fast PNG encoder, looked for once."""

    png: Callable[[PILImage], bytes] | None = None
    looked = False


def _fast_png() -> Callable[[PILImage], bytes] | None:
    """Return fpng's encoder, or None where it has no wheel."""
    if not _Encoders.looked:
        _Encoders.looked = True
        with suppress(ImportError):
            import fpng  # noqa: PLC0415 - optional

            _Encoders.png = fpng.from_pil
    return _Encoders.png


# --- in ------------------------------------------------------------------------------------------


def size_in(data: bytes | Path) -> tuple[int, int] | None:
    """Return width and height by the header alone, or None when it is not an image we read."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    with warnings.catch_warnings(), suppress(*_BROKEN, PillowImage.DecompressionBombError):
        warnings.simplefilter("ignore")
        with PillowImage.open(_stream(data), formats=_READ) as image:
            return image.size
    return None


def decode(data: bytes | Path, mode: str | None, *, most_pixels: int, url: str | None) -> PILImage:
    """Return the image in *data*, orientation applied, in *mode* (None keeps its own).

    Raises:
        ImageTooLargeError: it has more than *most_pixels* over all frames, by its header.
        BrokenImageError: it is not a whole image of a kind that is read.
    """
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decode(data, mode, most_pixels, url)
        except UnidentifiedImageError:
            message = f"This is not an image that is read here ({', '.join(_READ)})."
            raise BrokenImageError(message, url=url) from None
        except PillowImage.DecompressionBombError:
            raise ImageTooLargeError(pixels=most_pixels + 1, limit=most_pixels, url=url) from None
        except MemoryError:
            raise BrokenImageError("The image needs more memory than there is.", url=url) from None
        except _BROKEN:
            message = "The image is damaged or cut off; send the whole file."
            raise BrokenImageError(message, url=url) from None


def _decode(data: bytes | Path, mode: str | None, most_pixels: int, url: str | None) -> PILImage:
    """Check the header, then decode the first frame."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    with PillowImage.open(_stream(data), formats=_READ) as image:
        pixels = image.width * image.height * int(getattr(image, "n_frames", 1))
        if pixels > most_pixels:
            raise ImageTooLargeError(pixels=pixels, limit=most_pixels, url=url)
        image.load()
        upright = image.copy()
    with suppress(*_BROKEN):
        upright = _transposed(upright)
    if mode is None or upright.mode == mode:
        return upright
    return (_eight_bit(upright) if upright.mode in _DEEP else upright).convert(mode)


def _transposed(image: PILImage) -> PILImage:
    """Apply the orientation that the metadata says."""
    from PIL import ImageOps  # noqa: PLC0415 - as above

    return ImageOps.exif_transpose(image)


def _eight_bit(image: PILImage) -> PILImage:
    """Scale 16-bit grey to 8 bits; a plain conversion would clip it to white."""
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


def _stream(data: bytes | Path) -> BinaryIO | Path:
    """Return what Pillow opens."""
    return io.BytesIO(data) if isinstance(data, bytes) else data
