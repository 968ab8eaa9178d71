"""One browser and one server with all the examples, for the tests of the page."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from playwright.sync_api import Browser

from tests.codecs.test_clips import frames
from tests.support.browser import chromium
from tests.support.visitor import Visitor
from towpath.codecs.clips import encode_clip
from towpath.testing import Server, serve

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
LIMITS = '''
import time
import towpath
from pydantic import BaseModel, Field
from towpath.files.constraints import ImageConstraints
from towpath.toolkit import ImageField

class Lora(BaseModel):
    path: str = Field(min_length=3)
    scale: float = Field(default=1, le=2)

class LimitsInput(BaseModel):
    image_url: towpath.ImageInput | None = ImageField(
        None, constraints=ImageConstraints(max_bytes=200_000, content_types=("image/png",)),
        json_schema_extra={"x-samples": ["../../files/SAMPLE/sample.png"]})
    loras: list[Lora] = []
    size: Lora | int | None = None
    text: str = "x"

class Limits(towpath.App):
    """Fields with limits."""
    max_multiplexing = 1

    @towpath.endpoint("/")
    def run(self, request: LimitsInput) -> dict:
        return {"text": request.text, "bytes": len(request.image_url.as_bytes()) if request.image_url else 0}

    @towpath.endpoint("/slow")
    def slow(self, seconds: float = 1.0, text: str = "slow") -> dict:
        """Take a while."""
        for step in range(20):
            towpath.progress(step, 20, f"step {step}")
            print("working on", step, flush=True)
            time.sleep(seconds / 20)
        return {"text": text}

    @towpath.endpoint("/solid")
    def solid(self, model_file_url: towpath.FileInput) -> dict:
        """Give a model back."""
        data = model_file_url.as_bytes()
        return {"solid": towpath.File.from_bytes(data, "model/gltf-binary", "solid.glb")}

    @towpath.endpoint("/odd")
    def odd(self, hours: float = 1) -> dict:
        """Return files that cannot be shown."""
        broken = towpath.Video.from_bytes(b"this is no film", "video/x-matroska", "a.mkv")
        gone = towpath.Image.from_bytes(b"this is no picture", "png")
        gone.expires_at = "2020-01-01T00:00:00+00:00"
        away = towpath.Image(url="https://elsewhere.test/a.png", content_type="image/png")
        kept = towpath.File.from_bytes(b"x", "text/plain", "a.txt", expires_in=3600)
        empty = {"a": 1, "b": [1, {"c": None}]}
        return {"film": broken, "picture": gone, "away": away, "kept": kept, "empty": empty}
'''


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = tmp_path_factory.mktemp("limits") / "limits.py"
    limits.write_text(LIMITS)
    with serve(*map(str, EXAMPLES), str(limits), store_reserve=0) as own:
        yield own


@pytest.fixture
def visitors(browser: Browser, site: Server) -> Iterator[Callable[..., Visitor]]:
    """Let somebody visit; at the end nothing may have gone wrong in their page."""
    made: list[Visitor] = []

    def visit(**options: object) -> Visitor:
        made.append(Visitor(browser, str(options.pop("url", site.url)), **options))
        return made[-1]

    yield visit
    for each in made:
        each.close()
    assert [trouble for each in made for trouble in each.trouble] == []


@pytest.fixture
def visitor(visitors: Callable[..., Visitor]) -> Visitor:
    return visitors()


@pytest.fixture(scope="package")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one file of each kind."""
    folder = tmp_path_factory.mktemp("media")
    picture = PillowImage.effect_mandelbrot((320, 200), (-2, -1.2, 1, 1.2), 60).convert("RGB")
    picture.save(folder / "picture.png")
    picture.convert("RGB").save(folder / "picture.jpg")
    PillowImage.effect_noise((900, 900), 90).save(folder / "large.png")
    encode_clip(folder / "film.mp4", frames(48), fps=24)
    (folder / "note.txt").write_text("a note")
    (folder / "ünïcödé 🎨.png").write_bytes((folder / "picture.png").read_bytes())
    return folder
