import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.codecs.choice import Picture, format_named, plan_of
from towpath.errors import UnsupportedFormatError

MODES = ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA"]
MODES += ["RGBa", "La", "I;16", "I;16B", "I;16L"]
FORMATS = ["avif", "bmp", "gif", "jpeg", "png", "tiff", "webp"]


@pytest.mark.parametrize(
    ("mode", "has_fpng", "encoder"),
    [
        ("RGB", True, "fpng"),
        ("RGBA", True, "fpng"),
        ("RGB", False, "rows"),
        ("RGBA", False, "rows"),
        ("L", True, "rows"),
        ("LA", True, "rows"),
        ("I;16", True, "rows"),
        ("CMYK", True, "fpng"),
        ("P", True, "pillow"),
        ("1", True, "pillow"),
    ],
)
def test_the_encoder_of_a_png(mode: str, has_fpng, encoder: str) -> None:
    for has_isal in (False, True):
        plan = plan_of(Picture(mode), "png", has_fpng=has_fpng, has_isal=has_isal)
        assert plan.encoder == encoder


@pytest.mark.parametrize(
    ("has_fpng", "has_isal", "encoder"),
    [(True, True, "rows"), (True, False, "fpng"), (False, True, "rows"), (False, False, "rows")],
)
def test_a_flat_picture_goes_to_the_writer_that_makes_it_small(
    has_fpng, has_isal, encoder: str
) -> None:
    flat = Picture("RGB", is_flat=True)
    assert plan_of(flat, "png", has_fpng=has_fpng, has_isal=has_isal).encoder == encoder
    assert plan_of(flat, "jpeg", has_fpng=has_fpng, has_isal=has_isal).encoder == "pillow"


@pytest.mark.parametrize(
    ("mode", "image_format", "result", "steps"),
    [
        ("RGBA", "jpeg", "RGB", ("ground",)),
        ("LA", "jpeg", "RGB", ("ground",)),
        ("P", "jpeg", "RGB", ("convert",)),
        ("I;16", "jpeg", "L", ("scale", "convert")),
        ("I;16", "webp", "RGB", ("scale", "convert")),
        ("I;16B", "png", "I;16", ("convert",)),
        ("I", "png", "I;16", ("convert",)),
        ("CMYK", "jpeg", "CMYK", ()),
        ("CMYK", "png", "RGB", ("convert",)),
        ("L", "webp", "RGB", ("convert",)),
        ("LA", "webp", "RGBA", ("convert",)),
        ("F", "jpeg", "L", ("convert",)),
        ("RGB", "png", "RGB", ()),
    ],
)
def test_the_steps_to_a_mode_that_the_format_has(mode, image_format, result, steps) -> None:
    plan = plan_of(Picture(mode), image_format)
    assert (plan.mode, plan.steps) == (result, steps)


def test_a_transparent_palette_is_laid_on_white_where_the_format_has_no_transparency() -> None:
    assert plan_of(Picture("P", is_transparent=True), "jpeg").steps == ("ground",)
    assert plan_of(Picture("P", is_transparent=True), "png").steps == ()
    assert plan_of(Picture("P", is_transparent=True), "webp").mode == "RGBA"


@pytest.mark.parametrize(
    ("came_as", "image_format", "is_animated"),
    [
        ("gif", "gif", True),
        ("gif", "webp", True),
        ("gif", "png", False),
        ("png", "png", True),
        ("gif", "jpeg", False),
        ("webp", "tiff", False),
    ],
)
def test_which_formats_keep_all_frames(came_as: str, image_format: str, is_animated) -> None:
    plan = plan_of(Picture("RGB", frames=3, came_as=came_as), image_format)
    assert plan.is_animated is is_animated


def test_a_profile_is_kept_while_it_speaks_of_the_same_colours() -> None:
    assert plan_of(Picture("RGBA"), "jpeg").keeps_profile
    assert plan_of(Picture("P"), "jpeg").keeps_profile
    assert not plan_of(Picture("CMYK"), "png").keeps_profile
    assert not plan_of(Picture("L"), "webp").keeps_profile


def test_jpeg_has_quality_95_and_whole_colours_unless_told_otherwise() -> None:
    assert dict(plan_of(Picture("RGB"), "jpeg").parameters) == {"quality": 95, "subsampling": 0}
    assert dict(plan_of(Picture("RGB"), "jpeg", quality=80).parameters) == {"quality": 80}


@given(st.sampled_from(MODES), st.sampled_from(FORMATS), st.booleans(), st.integers(1, 3))
def test_every_mode_has_a_plan_for_every_format(mode, image_format, is_transparent, frames) -> None:
    plan = plan_of(Picture(mode, is_transparent=is_transparent, frames=frames), image_format)
    again = plan_of(Picture(plan.mode, frames=frames), image_format)
    assert again.mode == plan.mode
    assert again.steps == ()


@pytest.mark.parametrize("word", ["jpg", "JPG", "image/jpeg", ".jpeg", "jfif"])
def test_names_of_jpeg(word: str) -> None:
    assert format_named(word) == "jpeg"


@pytest.mark.parametrize("word", ["svg", "", "heic", "exe", "png2"])
def test_a_format_that_is_not_written_is_named_with_those_that_are(word: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=r"avif.*webp"):
        format_named(word)
