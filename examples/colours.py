"""Two endpoints over one set of weights: name an image's colours, or repaint it in named ones.

The weights come through `download_model_weights`, once for all runners and restarts. Set
WEIGHTS_URL to fetch them from a server; by default they are the file beside this one.
"""

import base64
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from pydantic import BaseModel, Field

import towpath

_WEIGHTS = Path(__file__).parent / "weights" / "colours.json"


def weights_url() -> str:
    """Return where the weights are: a server's URL, or the file here as a data: URI."""
    inline = base64.b64encode(_WEIGHTS.read_bytes()).decode()
    return os.environ.get("WEIGHTS_URL") or f"data:application/json;base64,{inline}"


class NamesInput(BaseModel):
    """Which image, and how many names."""

    image_url: towpath.ImageInput
    count: int = Field(default=3, ge=1, le=10)


class NamedColour(BaseModel):
    """A colour and its share of the image."""

    name: str
    share: float


class NamesOutput(BaseModel):
    """The colours of the image, the most frequent first."""

    colours: list[NamedColour]


class RepaintInput(BaseModel):
    """Which image to repaint."""

    image_url: towpath.ImageInput


class RepaintOutput(BaseModel):
    """The image in named colours only."""

    image: towpath.Image


class Colours(towpath.App, title="Colours"):
    """Name the colours of an image, or repaint it in named colours."""

    machine_type = "GPU-A100"

    def setup(self) -> None:
        """Load the weights once."""
        path = towpath.download_model_weights(weights_url())
        weights = json.loads(path.read_text())
        self.names: list[str] = weights["names"]
        self.rgb = np.array(weights["rgb"], dtype=np.float32)

    @towpath.endpoint("/")
    def describe(self, request: NamesInput) -> NamesOutput:
        """Return the names of the most frequent colours."""
        nearest = self._nearest(request.image_url.to_pil())
        counts = np.bincount(nearest.ravel(), minlength=len(self.names))
        best = np.argsort(-counts, kind="stable")[: request.count]
        shares = [(int(index), float(counts[index] / nearest.size)) for index in best]
        return NamesOutput(
            colours=[
                NamedColour(name=self.names[index], share=round(share, 4))
                for index, share in shares
                if share
            ]
        )

    @towpath.endpoint("/repaint")
    def repaint(self, request: RepaintInput) -> RepaintOutput:
        """Return the image with every pixel in its nearest named colour."""
        nearest = self._nearest(request.image_url.to_pil())
        picture = PillowImage.fromarray(self.rgb[nearest].astype(np.uint8))
        return RepaintOutput(image=towpath.Image.from_pil(picture))

    def _nearest(self, picture: PillowImage.Image) -> np.ndarray:
        """Return the index of the nearest named colour of each pixel; at most 256 to a side."""
        picture.thumbnail((256, 256))
        pixels = np.asarray(picture, dtype=np.float32)
        distances = ((pixels[:, :, None, :] - self.rgb) ** 2).sum(axis=-1)
        return np.asarray(distances.argmin(axis=-1))
