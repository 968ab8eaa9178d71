"""Upscale an image with a Lanczos filter: a file URL in, a public file URL out."""

from typing import Literal

from PIL import Image as PillowImage
from pydantic import BaseModel, Field

import towpath


class UpscaleInput(BaseModel):
    """What to upscale, and how much."""

    image_url: towpath.ImageInput = Field(description="A PNG, JPEG, WebP or GIF.")
    scale: int = Field(default=2, ge=1, le=8, description="How many times wider and higher.")
    format: Literal["png", "jpeg", "webp"] = "png"


class UpscaleOutput(BaseModel):
    """The larger image."""

    image: towpath.Image


class Upscale(towpath.App, title="Upscale"):
    """Make an image larger."""

    @towpath.endpoint("/")
    def upscale(self, request: UpscaleInput) -> UpscaleOutput:
        """Return the image, `scale` times as wide and as high."""
        picture = request.image_url.to_pil()
        size = (picture.width * request.scale, picture.height * request.scale)
        if size[0] * size[1] > 64_000_000:  # noqa: PLR2004 - pixels
            message = f"{size[0]} x {size[1]} pixels are too many; use a smaller scale."
            raise towpath.InputError(message, "scale", ctx={"max_pixels": 64_000_000})
        larger = picture.resize(size, PillowImage.Resampling.LANCZOS)
        return UpscaleOutput(image=towpath.Image.from_pil(larger, format=request.format))
