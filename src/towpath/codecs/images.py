"""PIL images in and out of bytes, with limits that hold before anything is decoded."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import ImageChops, UnidentifiedImageError

from towpath.codecs.choice import Picture, Plan, plan_of
from towpath.codecs.counts import (
    MOST_FRAMES,
    MOST_SCANS,
    frames_by_seeking,
    gif_frames,
    jpeg_scans,
)
from towpath.codecs.deflate import has_isal, packed_size
from towpath.codecs.metadata import (
    chunks_of,
    orientation_of,
    profile_of,
    resolution_of,
    texts_of,
)
from towpath.codecs.png import fpng_writer, write_fpng, write_rows
from towpath.errors import (
    BrokenImageError,
    ImageTooLargeError,
    MediaError,
    UnsupportedFormatError,
)

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["decode", "encode", "facts_in", "flattened", "size_in", "size_seen"]

_READ = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_NOT_READ = f"This is not an image that is read here ({', '.join(_READ)})."
_DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_TURNED = (5, 6, 7, 8)
_FRAME_MS = 100
_ROWS_SEEN = 8
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


# --- out -----------------------------------------------------------------------------------------


def encode(image: PILImage, image_format: str, *, quality: int | None = None) -> bytes:
    """Return *image* in *image_format* (a word of `format_named`).

    PNG is lossless and comes from the fast writer; JPEG has quality 95 without chroma subsampling
    unless *quality* is given. Transparency becomes white where the format has none. What EXIF says
    of the orientation is applied; the colour profile, the resolution and the texts of a PNG are
    kept, the rest of EXIF is not. GIF, WebP and AVIF keep all frames.

    Raises:
        UnsupportedFormatError: the format cannot hold this image.
    """
    if 0 in image.size:
        message = f"An image of {image.width}x{image.height} pixels cannot be written."
        raise UnsupportedFormatError(message)
    try:
        plan = plan_of(
            _picture(image, image_format),
            image_format,
            quality=quality,
            has_fpng=fpng_writer() is not None,
            has_isal=has_isal(),
        )
        return _written(image, image_format, plan)
    except (*_BROKEN, RuntimeError) as error:
        if isinstance(error, UnsupportedFormatError):
            raise
        size = f"{image.width}x{image.height}"
        message = f"A {image.mode} image of {size} cannot be written as {image_format}: {error}"
        raise UnsupportedFormatError(message) from error


def _picture(image: PILImage, image_format: str) -> Picture:
    """Return what the choice of an encoder needs."""
    return Picture(
        image.mode,
        is_transparent="transparency" in image.info,
        frames=int(getattr(image, "n_frames", 1)),
        came_as=(image.format or "").lower(),
        is_flat=image_format == "png" and image.mode in {"RGB", "RGBA"} and _is_flat(image),
    )


def _is_flat(image: PILImage) -> bool:
    """Tell by a few rows, less those above them, whether they pack to a quarter."""
    seen = []
    for n in range(_ROWS_SEEN):
        top = (image.height - 1) * (2 * n + 1) // (2 * _ROWS_SEEN)
        above, row = (image.crop((0, y, image.width, y + 1)) for y in (top, top + 1))
        seen.append(ImageChops.subtract_modulo(row, above).tobytes())
    rows = b"".join(seen)
    return packed_size(rows) < len(rows) / 4


def _written(image: PILImage, image_format: str, plan: Plan) -> bytes:
    """Do what the plan says."""
    if plan.is_animated:
        return _by_pillow(image, image_format, plan, image, _timing(image))
    fitted = _fitted(_upright(image), plan)
    writer = fpng_writer()
    if plan.encoder == "fpng" and writer is not None:
        return write_fpng(writer, fitted, chunks_of(image, with_profile=plan.keeps_profile))
    if plan.encoder in {"fpng", "rows"}:
        return write_rows(fitted, chunks_of(image, with_profile=plan.keeps_profile))
    return _by_pillow(fitted, image_format, plan, image, {})


def _by_pillow(
    fitted: PILImage,
    image_format: str,
    plan: Plan,
    source: PILImage,
    timing: dict[str, Any],  # Any: Pillow's options
) -> bytes:
    """Let Pillow write it."""
    options = dict(plan.parameters) | timing
    options["icc_profile"] = profile_of(source) if plan.keeps_profile else None
    if (dpi := resolution_of(source)) is not None:
        options["dpi"] = dpi
    if image_format == "png":
        options["pnginfo"] = _png_texts(source)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.save(buffer, format=image_format, **options)
    return buffer.getvalue()


def _png_texts(image: PILImage) -> Any:  # noqa: ANN401 - Pillow's own
    """Return the texts of *image* as Pillow takes them."""
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415 - when the first picture comes

    info = PngInfo()
    for key, value in texts_of(image).items():
        info.add_text(key, value)
    return info


def _timing(image: PILImage) -> dict[str, Any]:  # Any: Pillow's options
    """Return how long each frame of an animation is shown, and how often all of them."""
    durations = []
    for number in range(int(getattr(image, "n_frames", 1))):
        image.seek(number)
        durations.append(int(image.info.get("duration", _FRAME_MS)) or _FRAME_MS)
    image.seek(0)
    return {"save_all": True, "duration": durations, "loop": image.info.get("loop", 0)}


def _fitted(image: PILImage, plan: Plan) -> PILImage:
    """Bring *image* to the plan's mode."""
    for step in plan.steps:
        if step == "scale":
            image = _eight_bit(image)
        elif step == "ground":
            image = _on_white(_converted(image, "RGBA"))
        else:
            image = _converted(image, plan.mode)
    return image


def _converted(image: PILImage, mode: str) -> PILImage:
    """Return *image* in *mode*, by the way that Pillow knows."""
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if image.mode == "LAB":
        return _from_lab(image).convert(mode)
    if mode == "I;16" and image.mode != "I":
        image = image.convert("I")
    return image if image.mode == mode else image.convert(mode)


def _from_lab(image: PILImage) -> PILImage:
    """Return a CIELAB image in sRGB; Pillow converts it by profiles only."""
    from PIL import ImageCms  # noqa: PLC0415 - rarely needed

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.applyTransform(
        image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"), inPlace=False
    )  # type: ignore[return-value]  # not in place: an image


def _on_white(rgba: PILImage) -> PILImage:
    """Lay a transparent image on white."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    canvas = PillowImage.new("RGB", rgba.size, "white")
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas


def flattened(image: PILImage) -> PILImage:
    """Return *image* as RGB: 16 bits scaled to 8, transparency laid on white."""
    if image.mode in _DEEP:
        image = _eight_bit(image)
    if image.has_transparency_data:
        return _on_white(_converted(image, "RGBA"))
    return _converted(image, "RGB")


def _upright(image: PILImage) -> PILImage:
    """Apply the orientation that EXIF says; what is broken there counts for nothing."""
    if orientation_of(image) == 1:
        return image
    from PIL import ImageOps  # noqa: PLC0415 - as above

    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image


def _eight_bit(image: PILImage) -> PILImage:
    """Scale 16-bit grey to 8 bits; a plain conversion would clip it to white."""
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")


# --- in ------------------------------------------------------------------------------------------


def size_seen(image: PILImage) -> tuple[int, int]:
    """Return width and height once the orientation is applied, as `encode` does."""
    turned = int(getattr(image, "n_frames", 1)) == 1 and orientation_of(image) in _TURNED
    return (image.height, image.width) if turned else image.size


def size_in(data: bytes | Path) -> tuple[int, int] | None:
    """Return width and height by the header alone, as stored, or None if it is no image we read."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    with warnings.catch_warnings(), suppress(Exception):  # Pillow raises every kind there is
        warnings.simplefilter("ignore")
        with PillowImage.open(_stream(data), formats=_READ) as image:
            return image.size
    return None


def facts_in(data: bytes | Path, *, url: str | None) -> dict[str, Any]:  # Any: JSON
    """Return what a header says: format, width and height as seen, frames, mode.

    Raises:
        BrokenImageError: it is not an image that is read here, or has more than 20,000 frames.
    """
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with PillowImage.open(_stream(data), formats=_READ) as image:
                turned = orientation_of(image) in _TURNED
                width, height = image.size[::-1] if turned else image.size
                frames = _frames_in(image, data, url)
                codec = (image.format or "").lower()
        except MediaError:
            raise
        except Exception:  # noqa: BLE001 - Pillow raises every kind there is
            raise BrokenImageError(_NOT_READ, url=url) from None
    return {"width": width, "height": height, "frames": frames, "codec": codec}


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
            raise BrokenImageError(_NOT_READ, url=url) from None
        except PillowImage.DecompressionBombError as error:
            pixels = _pixels_in(str(error)) or most_pixels + 1
            raise ImageTooLargeError(pixels=pixels, limit=most_pixels, url=url) from None
        except MemoryError:
            raise BrokenImageError("The image needs more memory than there is.", url=url) from None
        except MediaError:
            raise
        except Exception:  # noqa: BLE001 - Pillow raises every kind there is
            message = "The image is damaged or cut off; send the whole file."
            raise BrokenImageError(message, url=url) from None


def _decode(data: bytes | Path, mode: str | None, most_pixels: int, url: str | None) -> PILImage:
    """Check the header, then decode the first frame."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    with PillowImage.open(_stream(data), formats=_READ) as image:
        pixels = image.width * image.height * _frames_in(image, data, url)
        if pixels > most_pixels:
            raise ImageTooLargeError(pixels=pixels, limit=most_pixels, url=url)
        _check_scans(image, data, url)
        image.load()
        upright = _upright(image).copy()
    if mode is None or upright.mode == mode:
        return upright
    return _converted(_eight_bit(upright) if upright.mode in _DEEP else upright, mode)


def _frames_in(image: PILImage, data: bytes | Path, url: str | None) -> int:
    """Count the frames of an opened image, without decoding one.

    Raises:
        BrokenImageError: there are too many to count.
    """
    if image.format == "GIF":
        with _mapped(data) as content:
            count = gif_frames(content)
    elif image.format == "TIFF":
        count = frames_by_seeking(image.seek)
        image.seek(0)
    else:  # their headers say it
        count = int(getattr(image, "n_frames", 1))
    if count > MOST_FRAMES:
        message = f"The image has more than {MOST_FRAMES} frames; send a video."
        raise BrokenImageError(message, url=url)
    return max(1, count)


def _check_scans(image: PILImage, data: bytes | Path, url: str | None) -> None:
    """Refuse a JPEG whose scans would take minutes: each of a few bytes is a pass over it all.

    Raises:
        BrokenImageError: it has more than any picture needs.
    """
    if image.format not in {"JPEG", "MPO"}:
        return
    with _mapped(data) as content:
        if jpeg_scans(content) > MOST_SCANS:
            message = f"The JPEG has more than {MOST_SCANS} scans; save it again."
            raise BrokenImageError(message, url=url)


@contextmanager
def _mapped(data: bytes | Path) -> Iterator[bytes | mmap]:
    """Give the bytes, of a path without reading what is not looked at."""
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        yield content


def _pixels_in(message: str) -> int:
    """Return the number of pixels that Pillow's refusal names, or 0."""
    match = re.search(r"\((\d+) pixels\)", message)
    return int(match[1]) if match else 0


def _stream(data: bytes | Path) -> BinaryIO | Path:
    """Return what Pillow opens."""
    return io.BytesIO(data) if isinstance(data, bytes) else data
