"""Every kind of field and every kind of output, for those who build pages and clients."""

import io
import json
import math
import struct
import time
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw
from pydantic import BaseModel, Field, SecretStr

import towpath
from towpath.toolkit import (
    AudioField,
    CompressedFile,
    File,
    FileField,
    FormModel,
    Hidden,
    Image,
    ImageField,
    ImageSizeField,
    ImageSizeInput,
    VideoField,
    get_image_size,
)

_SIDE = 512


class Adapter(BaseModel):
    """A file, and how strongly it counts."""

    path_url: towpath.FileInput = FileField(description="Any file.")
    weight: float = Field(default=1, ge=0, le=2)


class Grain(BaseModel):
    """Noise over the picture."""

    amount: float = Field(default=0.2, ge=0, le=1)
    is_coloured: bool = False


class ShowcaseInput(FormModel):
    """One field of each kind."""

    FIELD_ORDERS = ("prompt", "style", "image_url", "mask_url")

    image_url: towpath.ImageInput | None = ImageField(None, description="A picture to draw on.")
    mask_url: towpath.ImageInput | None = ImageField(
        None, description="White where the picture may change.", ui={"field": "mask"}
    )
    prompt: str = Field(
        min_length=1, max_length=400, examples=["A quiet harbour", "Two moons over a canal"]
    )
    title: str = Field(default="Untitled", description="Written on the picture, in `white`.")
    style: Literal["waves", "rings", "grid"] = "waves"
    palette: Literal["sea", "moss", "rust", "night", "paper", "plum"] = "sea"
    image_size: ImageSizeInput = ImageSizeField("square")
    num_images: int = Field(default=2, ge=1, le=4)
    strength: float = Field(default=0.5, ge=0, le=1)
    seed: int | None = Field(default=None, ge=0, description="The same seed, the same picture.")
    seconds: float = Field(default=0, ge=0, le=60, description="How long to work, in steps.")
    video_url: towpath.VideoInput | None = VideoField(None)
    audio_url: towpath.AudioInput | None = AudioField(None)
    file_url: towpath.FileInput | None = FileField(None)
    reference_image_urls: list[towpath.ImageInput] = Field(default=[], max_length=4)
    tags: list[str] = Field(default=[], max_length=5)
    adapters: list[Adapter] = Field(default=[])
    grain: Grain | None = None
    is_mirrored: bool = Field(default=False, description="Left and right change places.")
    note: str | None = None
    due: date | None = None
    options: dict[str, Any] = Field(default={}, description="Given back as they are.")
    api_token: SecretStr | None = Field(default=None, description="Never kept by the page.")
    problem: Literal["none", "on a field", "in the code"] = Field(
        default="none", json_schema_extra={"ui": {"advanced": True}}
    )
    quality: int = Field(default=90, ge=1, le=100, json_schema_extra={"ui": {"advanced": True}})
    revision: int = Hidden(Field(default=3))


class ShowcaseOutput(BaseModel):
    """One output of each kind."""

    image: Image = Field(json_schema_extra={"ui": {"field": "image", "compare": "image_url"}})
    images: list[Image]
    video: towpath.Video
    audio: towpath.Audio
    model: File = Field(json_schema_extra={"ui": {"field": "model3d"}})
    archive: CompressedFile
    document: File
    report: str = Field(json_schema_extra={"ui": {"field": "markdown"}})
    caption: str
    seed: int
    tags: list[str]
    received: dict[str, Any]


class StreamInput(BaseModel):
    """What to say, or to draw, bit by bit."""

    prompt: str = Field(default="Locks lift boats from one level to the next.", max_length=400)
    pause: float = Field(default=0.05, ge=0, le=1, description="Seconds between two parts.")


class Frame(BaseModel):
    """A picture that is not finished yet."""

    step: int
    image: Image


class Showcase(towpath.App, title="Showcase"):
    """Every kind of field, every kind of output: an app to try pages and clients on."""

    max_multiplexing = 4

    @towpath.endpoint("/")
    def run(self, request: ShowcaseInput) -> ShowcaseOutput:
        """Return one output of each kind, made from one field of each kind."""
        if request.problem == "on a field":
            message = "This problem was asked for: choose another one."
            raise towpath.InputError(message, "problem")
        seed = request.seed if request.seed is not None else len(request.prompt)
        base = self._base(request)
        self._work(request, base)
        if request.problem == "in the code":
            raise RuntimeError("this problem was asked for")
        pictures = [drawn(base, request, seed + number) for number in range(request.num_images)]
        return ShowcaseOutput(
            image=Image.from_pil(pictures[0]),
            images=Image.from_pils(pictures),
            video=towpath.Video.from_frames(turning(pictures[0]), fps=12),
            audio=towpath.Audio.from_array(tone(seed), 24_000, file_name="tone.wav"),
            model=File.from_bytes(pyramid(), "model/gltf-binary", "pyramid.glb"),
            archive=CompressedFile.from_bytes(packed(pictures), "application/zip", "pictures.zip"),
            document=File.from_bytes(request.prompt.encode(), "text/plain", "prompt.txt"),
            report=f"# {request.title}\n\n- **style**: {request.style}\n- seed: `{seed}`\n",
            caption=f"{request.prompt} " * 3,
            seed=seed,
            tags=request.tags,
            received=received(request),
        )

    @towpath.endpoint("/say")
    def say(self, request: StreamInput) -> Iterator[str]:
        """Yield the prompt, word by word."""
        for word in request.prompt.split():
            time.sleep(request.pause)
            yield f"{word} "

    @towpath.endpoint("/unveil")
    def unveil(self, request: StreamInput) -> Iterator[Frame]:
        """Yield a picture that gets sharper."""
        whole = drawn(PillowImage.new("RGB", (256, 256), "#20405c"), ShowcaseInput(prompt="x"), 3)
        for step, side in enumerate((8, 32, 128, 256), 1):
            time.sleep(request.pause)
            coarse = whole.resize((side, side)).resize((256, 256), PillowImage.Resampling.NEAREST)
            yield Frame(step=step, image=Image.from_pil(coarse))

    def _base(self, request: ShowcaseInput) -> PillowImage.Image:
        """Return the picture to draw on."""
        if request.image_url is not None:
            picture = request.image_url.to_pil()
            picture.thumbnail((_SIDE, _SIDE))
            return picture
        size = get_image_size(request.image_size)
        scale = min(1, _SIDE / max(size.width, size.height))
        whole = (max(8, int(size.width * scale)), max(8, int(size.height * scale)))
        return PillowImage.new("RGB", whole, COLOURS[request.palette])

    def _work(self, request: ShowcaseInput, base: PillowImage.Image) -> None:
        """Take the time that was asked for, and tell how far it is."""
        steps = 10 if request.seconds else 0
        for step in range(steps):
            small = base.resize((64, 64))
            ImageDraw.Draw(small).rectangle((0, 0, 6 * step, 6), fill="white")
            preview = Image.from_pil(small, expires_in="1h")
            towpath.progress(step, steps, f"step {step + 1} of {steps}", preview=preview)
            print(f"step {step + 1} of {steps}: {request.style}")  # noqa: T201 - it is the log
            time.sleep(request.seconds / steps)


COLOURS = {
    "sea": "#1d5c7a",
    "moss": "#3f5d2f",
    "rust": "#8a3f1f",
    "night": "#15162b",
    "paper": "#d8cfb8",
    "plum": "#5a2748",
}


def drawn(base: PillowImage.Image, request: ShowcaseInput, seed: int) -> PillowImage.Image:
    """Draw a style over a picture."""
    picture = base.convert("RGB")
    brush = ImageDraw.Draw(picture)
    width, height = picture.size
    for line in range(8):
        tint = tuple((seed * 37 + line * 29 + shift * 71) % 256 for shift in range(3))
        if request.style == "rings":
            radius = (line + 1) * min(width, height) // 18
            box = (
                width // 2 - radius,
                height // 2 - radius,
                width // 2 + radius,
                height // 2 + radius,
            )
            brush.ellipse(box, outline=tint, width=3)
        elif request.style == "grid":
            brush.line((line * width // 8, 0, line * width // 8, height), fill=tint, width=3)
        else:
            points = [
                (x, height * (line + 1) / 9 + 12 * math.sin(x / 24 + seed))
                for x in range(0, width, 4)
            ]
            brush.line(points, fill=tint, width=3)
    brush.text((10, 10), request.title[:40], fill="white", stroke_width=1, stroke_fill="black")
    return (
        picture.transpose(PillowImage.Transpose.FLIP_LEFT_RIGHT) if request.is_mirrored else picture
    )


def turning(picture: PillowImage.Image) -> Iterator[PillowImage.Image]:
    """Yield a picture that turns around once."""
    square = picture.resize((256, 256))
    for angle in range(0, 360, 10):
        yield square.rotate(angle)


def tone(seed: int) -> np.ndarray:
    """Return two seconds of a tone."""
    moments = np.arange(48_000) / 24_000
    return np.asarray(0.3 * np.sin(math.tau * (220 + seed % 200) * moments) * np.exp(-moments))


def packed(pictures: list[PillowImage.Image]) -> bytes:
    """Return the pictures in a ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, picture in enumerate(pictures, 1):
            content = io.BytesIO()
            picture.save(content, "JPEG")
            archive.writestr(f"pictures/{number}.jpg", content.getvalue())
    return buffer.getvalue()


def received(request: ShowcaseInput) -> dict[str, Any]:
    """Return what came in, less what is secret."""
    said: Mapping[str, Any] = request.model_dump(mode="json", exclude={"api_token"})
    return {**said, "has_token": request.api_token is not None}


def pyramid() -> bytes:
    """Return a small pyramid as binary glTF 2.0."""
    corners = [(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1), (0, 1.5, 0)]
    faces = [(0, 1, 2), (0, 2, 3), (0, 4, 1), (1, 4, 2), (2, 4, 3), (3, 4, 0)]
    places = b"".join(struct.pack("<3f", *corner) for corner in corners)
    order = b"".join(struct.pack("<3H", *face) for face in faces)
    binary = places + order + b"\0" * (-len(order) % 4)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.1, 0.4, 0.5, 1]}}],
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(places)},
            {"buffer": 0, "byteOffset": len(places), "byteLength": len(order)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 5, "type": "VEC3"}
            | {"min": [-1, 0, -1], "max": [1, 1.5, 1]},
            {"bufferView": 1, "componentType": 5123, "count": 18, "type": "SCALAR"},
        ],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    whole = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", b"glTF", 2, whole)
    json_chunk = struct.pack("<I4s", len(text), b"JSON") + text
    return head + json_chunk + struct.pack("<I4s", len(binary), b"BIN\0") + binary
