"""Draw a prompt: text in, several images out, in the size that the caller wants."""

import functools
import hashlib
import math
from typing import Any, Literal

from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from pydantic import BaseModel, ConfigDict, Field

import towpath
from towpath.toolkit import ImageSize, ImageSizeInput, get_image_size


class TextToImageInput(BaseModel):
    """What to draw."""

    prompt: str = Field(
        min_length=1,
        max_length=500,
        description="What to draw.",
        examples=["Two moons over a canal", "A lock at noon"],
    )
    image_size: ImageSizeInput = Field(
        default="square", description="A preset, or width and height in pixels."
    )
    num_images: int = Field(default=1, ge=1, le=4)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    format: Literal["png", "jpeg", "webp"] = "png"


def example(schema: dict[str, Any]) -> None:
    """Show in the schema what comes out."""
    picture = draw("Two moons over a canal", 7, ImageSize(width=320, height=200), 18)
    image = towpath.Image.from_pil(picture, "webp", repository="in_memory")
    schema["examples"] = [{"images": [image.model_dump(mode="json")], "seed": 7}]


class TextToImageOutput(BaseModel):
    """The drawings, and the seed to draw the first of them again."""

    model_config = ConfigDict(json_schema_extra=example)

    images: list[towpath.Image]
    seed: int


class TextToImage(towpath.App, title="Text to image"):
    """Draw a prompt as waves of colour that only its words decide."""

    @towpath.endpoint("/")
    def generate(self, request: TextToImageInput) -> TextToImageOutput:
        """Return `num_images` drawings; the same prompt and seed give the same pixels."""
        size = get_image_size(request.image_size)
        if size.width * size.height > 16_000_000:  # noqa: PLR2004 - pixels
            message = f"{size.width} x {size.height} is too large to draw; ask for fewer pixels."
            raise towpath.InputError(message, "image_size", ctx={"max_pixels": 16_000_000})
        drawings = [
            draw(request.prompt, request.seed + number, size)
            for number in range(request.num_images)
        ]
        images = [towpath.Image.from_pil(drawing, request.format) for drawing in drawings]
        return TextToImageOutput(images=images, seed=request.seed)


def draw(prompt: str, seed: int, size: ImageSize, letters: int = 28) -> PillowImage.Image:
    """Draw one image."""
    dice = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    canvas = PillowImage.new("RGB", (size.width, size.height), tuple(dice[:3]))
    brush = ImageDraw.Draw(canvas)
    for band in range(12):
        colour = tuple(dice[(band * 2 + shift) % 32] for shift in range(3))
        points = [(x, height(dice, band, x, size)) for x in range(0, size.width + 8, 8)]
        brush.line(points, fill=colour, width=max(2, size.height // 40))
    brush.text((16, 16), prompt[:60], fill="white", font=font(letters), stroke_width=2)
    return canvas


def height(dice: bytes, band: int, x: int, size: ImageSize) -> float:
    """Return where a band runs at *x*."""
    wave = math.sin(x / size.width * math.tau * (1 + dice[band] % 4) + dice[31 - band])
    return size.height * ((band + 1) / 13 + wave * 0.06)


@functools.cache
def font(letters: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load the font once."""
    return ImageFont.load_default(letters)
