"""Sizes of images that callers ask for: a preset's name, or width and height."""

from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["ImageSize", "ImageSizeInput", "ImageSizePreset", "get_image_size"]

_LONGEST_SIDE = 14142


class ImageSize(BaseModel):
    """Width and height in pixels, each 1 to 14142."""

    width: int = Field(default=512, gt=0, le=_LONGEST_SIDE, description="Pixels across.")
    height: int = Field(default=512, gt=0, le=_LONGEST_SIDE, description="Pixels down.")


ImageSizePreset = Literal[
    "square_hd",
    "square",
    "portrait_4_3",
    "portrait_16_9",
    "landscape_4_3",
    "landscape_16_9",
]
ImageSizeInput = ImageSize | ImageSizePreset

_PRESETS: dict[str, ImageSize] = {
    "square_hd": ImageSize(width=1024, height=1024),
    "square": ImageSize(width=512, height=512),
    "portrait_4_3": ImageSize(width=768, height=1024),
    "portrait_16_9": ImageSize(width=576, height=1024),
    "landscape_4_3": ImageSize(width=1024, height=768),
    "landscape_16_9": ImageSize(width=1024, height=576),
}


def get_image_size(value: ImageSizeInput) -> ImageSize:
    """Return the size that *value* means.

    Raises:
        TypeError: it is neither a preset nor an ImageSize.
    """
    if isinstance(value, ImageSize):
        return value
    if value in _PRESETS:
        return _PRESETS[value]
    message = f"{value!r} is not an image size: use one of {', '.join(_PRESETS)}, or ImageSize"
    raise TypeError(message)
