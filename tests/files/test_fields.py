import pytest
from pydantic import BaseModel, Field

from towpath.errors import InputError
from towpath.toolkit import (
    AudioConstraints,
    AudioField,
    FileConstraints,
    FileField,
    FormModel,
    Hidden,
    ImageConstraints,
    ImageField,
    ImageInput,
    ImageSizeField,
    ImageSizeInput,
    MediaFacts,
    VideoConstraints,
    VideoField,
    VideoInput,
)


class Form(FormModel):
    FIELD_ORDERS = ("prompt", "image_url")

    seed: int = Hidden(Field(default=1))
    image_url: ImageInput = ImageField(
        constraints=ImageConstraints(max_width=100, content_types=("image/png",)),
        description="A picture.",
        ui={"important": True},
    )
    clip: VideoInput | None = VideoField(None, constraints=VideoConstraints(max_duration=5))
    sounds: list[str] = AudioField(default_factory=list, max_length=2)
    any_file: str = FileField("data:,x", title="Any")
    size: ImageSizeInput = ImageSizeField("square", constraints=ImageConstraints(max_width=600))
    prompt: str = Hidden(FileField("x"))


def test_fields_say_what_forms_show() -> None:
    schema = Form.model_json_schema()
    properties = schema["properties"]
    assert properties["image_url"]["ui"] == {"field": "image", "important": True}
    assert properties["image_url"]["x-fal"] == {"max_width": 100, "content_types": ["image/png"]}
    assert properties["image_url"]["description"] == "A picture."
    assert properties["clip"]["ui"] == {"field": "video"}
    assert properties["clip"]["x-fal"] == {"max_duration": 5}
    assert properties["sounds"]["ui"] == {"field": "audio"}
    assert properties["sounds"]["maxItems"] == 2
    assert properties["any_file"]["title"] == "Any"
    assert properties["size"]["x-fal"] == {"max_width": 600}
    assert properties["seed"]["ui"] == {"hidden": True}
    assert properties["prompt"]["ui"] == {"field": "file", "hidden": True}
    assert schema["required"] == ["image_url"]


def test_fields_come_in_the_authors_order() -> None:
    assert list(Form.model_json_schema()["properties"]) == [
        "prompt",
        "image_url",
        "seed",
        "clip",
        "sounds",
        "any_file",
        "size",
    ]
    assert next(iter(Form(image_url="data:,x").model_dump())) == "seed"


def test_a_hidden_field_is_taken_all_the_same() -> None:
    assert Form(image_url="data:,x", seed=5).seed == 5


def test_what_cannot_be_hidden_is_said() -> None:
    with pytest.raises(ValueError, match="default"):
        Hidden(Field(...))
    with pytest.raises(ValueError, match="default"):
        Hidden(ImageField())
    with pytest.raises(TypeError, match="str"):
        Hidden("x")


def test_plain_models_may_use_the_fields_too() -> None:
    class Plain(BaseModel):
        image: ImageInput = ImageField(json_schema_extra={"x-note": 1})

    assert Plain.model_json_schema()["properties"]["image"]["x-note"] == 1


FACTS = MediaFacts(width=100, height=50, duration=2.0, fps=24.0, sample_rate=8000)


@pytest.mark.parametrize(
    ("constraints", "slug", "ctx"),
    [
        (ImageConstraints(max_width=99), "image_too_large", {"max_width": 99, "width": 100}),
        (ImageConstraints(min_width=101), "image_too_small", {"min_width": 101, "width": 100}),
        (ImageConstraints(max_height=49), "image_too_large", {"max_height": 49, "height": 50}),
        (ImageConstraints(min_height=51), "image_too_small", {"min_height": 51, "height": 50}),
        (
            ImageConstraints(max_pixels=4999),
            "image_too_large",
            {"max_pixels": 4999, "pixels": 5000},
        ),
        (
            ImageConstraints(min_pixels=5001),
            "image_too_small",
            {"min_pixels": 5001, "pixels": 5000},
        ),
        (ImageConstraints(max_aspect_ratio=1.9), "less_than_equal", {"le": 1.9, "actual": 2.0}),
        (ImageConstraints(min_aspect_ratio=2.1), "greater_than_equal", {"ge": 2.1, "actual": 2.0}),
        (VideoConstraints(max_duration=1.9), "less_than_equal", {"le": 1.9, "actual": 2.0}),
        (VideoConstraints(min_duration=2.1), "greater_than_equal", {"ge": 2.1, "actual": 2.0}),
        (VideoConstraints(max_fps=23), "less_than_equal", {"le": 23, "actual": 24.0}),
        (VideoConstraints(min_fps=25), "greater_than_equal", {"ge": 25, "actual": 24.0}),
        (VideoConstraints(max_width=99), "image_too_large", {"max_width": 99, "width": 100}),
        (AudioConstraints(max_duration=1), "less_than_equal", {"le": 1, "actual": 2.0}),
        (
            AudioConstraints(sample_rates=(16_000, 48_000)),
            "one_of",
            {"expected": [16_000, 48_000], "sample_rate": 8000},
        ),
    ],
)
def test_each_constraint_is_enforced_with_its_numbers(constraints, slug: str, ctx) -> None:
    with pytest.raises(InputError) as caught:
        constraints.check_facts(FACTS, "file")
    assert (caught.value.type, caught.value.ctx, caught.value.field) == (slug, ctx, "file")


def test_exactly_at_its_limits_a_file_is_taken() -> None:
    VideoConstraints(
        min_width=100,
        max_width=100,
        min_height=50,
        max_height=50,
        min_pixels=5000,
        max_pixels=5000,
        min_aspect_ratio=2,
        max_aspect_ratio=2,
        min_duration=2,
        max_duration=2,
        min_fps=24,
        max_fps=24,
    ).check_facts(FACTS, "file")
    AudioConstraints(min_duration=2, max_duration=2, sample_rates=(8000,)).check_facts(FACTS, "f")


@pytest.mark.parametrize(
    ("content_types", "slug"),
    [
        (("image/png", "image/webp"), "unsupported_image_format"),
        (("video/*",), "unsupported_video_format"),
        (("application/zip",), "unsupported_file_format"),
    ],
)
def test_the_type_is_judged_by_the_first_bytes(content_types, slug: str) -> None:
    with pytest.raises(InputError) as caught:
        FileConstraints(content_types=content_types).check_head(b"\xff\xd8\xff\xe0", "file")
    assert caught.value.type == slug
    FileConstraints(content_types=("image/*",)).check_head(b"\xff\xd8\xff\xe0", "file")
    FileConstraints().check_head(b"anything", "file")
