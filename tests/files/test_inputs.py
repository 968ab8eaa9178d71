import pytest
from pydantic import BaseModel, ValidationError
from tests.support.origin import Origin

from towpath.context import ProcessPlaces, set_places
from towpath.toolkit import AudioInput, File, FileInput, Image, ImageInput, Video, VideoInput

pytestmark = pytest.mark.usefixtures("hosting")


class Form(BaseModel):
    file: FileInput
    image: ImageInput | None = None
    clips: list[VideoInput] = []
    sound: AudioInput | None = None


@pytest.mark.parametrize(
    "value",
    [
        "https://x.test/a.png",
        "http://10.0.0.1/a",
        "data:,x",
        {"url": "https://x.test/a"},
        File(url="https://x.test/a"),
    ],
)
def test_urls_data_and_objects_are_taken(value) -> None:
    form = Form(file=value)
    assert isinstance(form.file, FileInput)
    assert isinstance(form.file, str)
    assert form.file.startswith(("http", "data:"))


@pytest.mark.parametrize("value", ["", "photo.png", "ftp://x.test/a", 5, None, {"file": "x"}, b"x"])
def test_anything_else_is_refused(value) -> None:
    with pytest.raises(ValidationError):
        Form(file=value)


def test_they_serialise_as_plain_texts() -> None:
    form = Form(file="data:,x", clips=["https://x.test/c"])
    assert form.model_dump(mode="json")["clips"] == ["https://x.test/c"]


def test_the_schema_says_the_kind() -> None:
    properties = Form.model_json_schema()["properties"]
    assert properties["file"]["ui"] == {"field": "file"}
    assert properties["image"]["anyOf"][0]["ui"] == {"field": "image"}
    assert properties["clips"]["items"]["ui"] == {"field": "video"}
    assert properties["sound"]["anyOf"][0]["ui"] == {"field": "audio"}


def test_their_bytes_paths_and_files(origin: Origin, tmp_path) -> None:
    set_places(ProcessPlaces(temp=tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    try:
        url = FileInput(origin.put("/clip.mp4", b"clip"))
        assert url.as_bytes() == b"clip"
        assert url.to_path().read_bytes() == b"clip"
        assert url.to_path().is_relative_to(tmp_path / "tmp")
        with url.as_temp_file() as path:
            assert path.name == "clip.mp4"
        assert not path.exists()
        assert isinstance(VideoInput(url).to_file(), Video)
    finally:
        set_places(ProcessPlaces())


def test_an_image_input_opens_as_an_image() -> None:
    from PIL import Image as PillowImage

    image = Image.from_pil(PillowImage.new("RGB", (3, 2), "red"))
    assert ImageInput(image.url).to_pil().size == (3, 2)
    assert isinstance(ImageInput(image.url).to_file(), Image)


def test_inline_data_has_a_limit() -> None:
    with pytest.raises(ValidationError, match="67108864"):
        Form(file="data:;base64," + "A" * (90 * 2**20))
