"""Constraints of fields, over real sockets: refused before the endpoint runs, fetched once."""

import base64
import io

import httpx2
import pytest
from PIL import Image as PillowImage
from tests.codecs.test_sounds import tone
from tests.support.origin import Origin

from towpath.codecs.sounds import encode_sound
from towpath.testing import Server, serve

CODE = """
import towpath
from pydantic import BaseModel
from towpath.toolkit import (
    AudioConstraints, AudioField, AudioInput, FileConstraints, FileField, Image, ImageConstraints,
    ImageField, ImageInput, ImageSizeField, ImageSizeInput,
)

LIMITS = ImageConstraints(max_width=64, max_bytes=20_000, content_types=("image/png",))

class Input(BaseModel):
    image_url: str = ImageField(constraints=LIMITS)
    others: list[ImageInput] = ImageField(default=[], constraints=LIMITS)
    size: ImageSizeInput = ImageSizeField("square", constraints=ImageConstraints(max_width=600))

class Constrained(towpath.App):
    @towpath.endpoint("/")
    def run(self, input: Input) -> dict:
        return {"url": input.image_url, "size": ImageInput(input.image_url).to_pil().size
                if type(input.image_url) is str else input.image_url.to_pil().size}

    @towpath.endpoint("/scalar")
    def scalar(self, image: Image = ImageField(constraints=LIMITS)) -> list[int]:
        return list(image.to_pil().size)

    @towpath.endpoint("/sound")
    def sound(self, sound: AudioInput = AudioField(
        constraints=AudioConstraints(max_duration=1, sample_rates=(8000,)))
    ) -> int:
        return len(sound.to_array()[0])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("constrained")
    (folder / "app.py").write_text(CODE)
    options = {"store_reserve": 0, "allow_hosts": "127.0.0.1"}
    with serve(str(folder / "app.py"), data_dir=folder / "data", **options) as own:
        yield own


@pytest.fixture
def call(server: Server):
    with httpx2.Client(base_url=f"{server.url}/local/constrained", timeout=60) as client:

        def post(path: str, **inputs: object):
            return client.post(path, json=inputs)

        yield post


def png(width: int, height: int = 8, kind: str = "png") -> bytes:
    buffer = io.BytesIO()
    PillowImage.effect_noise((width, height), 90).save(buffer, kind)
    return buffer.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def refused(answer) -> dict:
    assert answer.status_code == 422, answer.text
    [entry] = answer.json()["detail"]
    return entry


def test_what_fits_is_taken_and_fetched_once(call, origin: Origin) -> None:
    url = origin.put("/a.png", png(64))
    answer = call("/", image_url=url)
    assert answer.json() == {"url": url, "size": [64, 8]}
    assert len(origin.requests("/a.png")) == 1
    assert call("/scalar", image=url).json() == [64, 8]


@pytest.mark.parametrize(
    ("image", "slug", "ctx"),
    [
        (uri(png(65)), "image_too_large", {"max_width": 64, "width": 65}),
        (
            uri(png(64, kind="jpeg")),
            "unsupported_image_format",
            {"supported_formats": ["image/png"], "content_type": "image/jpeg"},
        ),
        (uri(png(64, 600)), "file_too_large", None),
    ],
)
def test_what_does_not_fit_is_a_422_at_its_field(call, image: str, slug: str, ctx) -> None:
    entry = refused(call("/", image_url=image))
    assert (entry["loc"], entry["type"]) == (["body", "image_url"], slug)
    assert ctx is None or entry["ctx"] == ctx
    entry = refused(call("/scalar", image=image))
    assert (entry["loc"], entry["type"]) == (["body", "image"], slug)
    entry = refused(call("/", image_url=uri(png(9)), others=[uri(png(9)), image]))
    assert entry["type"] == slug
    assert entry["loc"] == ["body", "others", 1]


def test_sizes_that_are_asked_for_are_checked(call) -> None:
    entry = refused(call("/", image_url=uri(png(9)), size="square_hd"))
    assert (entry["loc"], entry["ctx"]) == (["body", "size"], {"max_width": 600, "width": 1024})
    assert call("/", image_url=uri(png(9)), size={"width": 600, "height": 9}).status_code == 200


def test_sounds_are_measured(call) -> None:
    good = uri(encode_sound(tone(8000, 1.0), 8000), "audio/wav")
    assert call("/sound", sound=good).json() == 8000
    long = uri(encode_sound(tone(8000, 1.5), 8000), "audio/wav")
    assert refused(call("/sound", sound=long))["ctx"] == {"le": 1, "actual": 1.5}
    other = uri(encode_sound(tone(16_000, 0.5), 16_000), "audio/wav")
    assert refused(call("/sound", sound=other))["type"] == "one_of"


def test_a_file_that_is_broken_is_the_callers_fault(call) -> None:
    entry = refused(call("/", image_url=uri(b"\x89PNG\r\n\x1a\n broken")))
    assert (entry["loc"], entry["type"]) == (["body", "image_url"], "image_load_error")


@pytest.mark.slow
def test_a_file_that_cannot_be_fetched_is_the_callers_fault(call) -> None:
    entry = refused(call("/", image_url="http://127.0.0.1:1/a.png"))
    assert entry["type"] == "file_download_error"


def test_the_limits_are_in_the_document(server: Server) -> None:
    document = httpx2.get(f"{server.url}/local/constrained/openapi.json").json()
    image = document["components"]["schemas"]["Input"]["properties"]["image_url"]
    assert image["x-fal"]["max_width"] == 64
    assert image["ui"] == {"field": "image"}
