"""Which encoder writes a picture, and what has to be done to it first. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from towpath.errors import UnsupportedFormatError
from towpath.errors.redaction import shown

__all__ = ["Encoder", "Picture", "Plan", "Step", "content_type_of", "format_named", "plan_of"]

Encoder = Literal["fpng", "rows", "pillow"]
"""fpng: the fast PNG writer. rows: ours, on numpy and ISA-L or zlib. pillow: all else."""

Step = Literal["scale", "ground", "convert"]
"""scale: 16 bits a sample to 8. ground: lay it on white. convert: to the plan's mode."""

_FORMATS = ("avif", "bmp", "gif", "jpeg", "png", "tiff", "webp")
_ALIASES = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "tif": "tiff"}
_MODES: dict[str, frozenset[str]] = {
    "png": frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "I;16"}),
    "jpeg": frozenset({"RGB", "L", "CMYK"}),
    "webp": frozenset({"RGB", "RGBA"}),
    "gif": frozenset({"P", "L", "RGB", "RGBA", "1"}),
    "bmp": frozenset({"RGB", "L", "P", "1"}),
    "tiff": frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "F", "I"}),
    "avif": frozenset({"RGB", "RGBA"}),
}
_ALPHA = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})
_DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})
_GREY = frozenset({"L", "LA", "La", "1", "F"}) | _DEEP
_FPNG = frozenset({"RGB", "RGBA"})
_ROWS = frozenset({"RGB", "RGBA", "L", "LA", "I;16"})
_ANIMATED = frozenset({"gif", "webp", "avif"})


@dataclass(frozen=True)
class Picture:
    """What has to be known of a picture to choose its encoder.

    Attributes:
        mode: Pillow's name of its pixels.
        is_transparent: whether a palette or a colour key makes pixels transparent.
        frames: how many there are.
        came_as: the format that it was opened from, or ''.
        is_flat: whether it packs to a quarter: a drawing, a mask, text, smooth colours.
    """

    mode: str
    is_transparent: bool = False
    frames: int = 1
    came_as: str = ""
    is_flat: bool = False


@dataclass(frozen=True)
class Plan:
    """How a picture is written.

    Attributes:
        encoder: who writes it.
        mode: the mode that it is brought to.
        steps: what is done to it first, in order.
        is_animated: whether all its frames are written.
        keeps_profile: whether its colour profile still fits the mode.
        parameters: what Pillow is told.
    """

    encoder: Encoder
    mode: str
    steps: tuple[Step, ...] = ()
    is_animated: bool = False
    keeps_profile: bool = True
    parameters: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


def format_named(name: str) -> str:
    """Return the format that *name* means, in lower case; `jpg` is `jpeg`.

    Raises:
        UnsupportedFormatError: images are not written in it here.
    """
    word = name.strip().lower().removeprefix("image/").removeprefix(".")
    word = _ALIASES.get(word, word)
    if word not in _FORMATS:
        known = ", ".join(sorted((*_FORMATS, "jpg")))
        message = f"Images are not written as {shown(name, 40)!r}. Use one of {known}."
        raise UnsupportedFormatError(message)
    return word


def content_type_of(image_format: str) -> str:
    """Return the content type of a format."""
    return f"image/{image_format}"


def plan_of(
    picture: Picture,
    image_format: str,
    *,
    quality: int | None = None,
    has_fpng: bool = False,
    has_isal: bool = False,
) -> Plan:
    """Choose how *picture* is written.

    Args:
        picture: what it is.
        image_format: a word of `format_named`.
        quality: 1 to 100, for formats that lose something; None is the format's own default:
            95 without chroma subsampling for JPEG.
        has_fpng: whether the fast PNG writer is installed.
        has_isal: whether ISA-L is, which packs flat pictures as fast and far smaller.
    """
    mode, steps = _fitted(picture, image_format)
    is_animated = picture.frames > 1 and (
        image_format in _ANIMATED or image_format == picture.came_as == "png"
    )
    return Plan(
        encoder="pillow"
        if is_animated
        else _encoder(image_format, mode, has_fpng=has_fpng and not (has_isal and picture.is_flat)),
        mode=mode,
        steps=() if is_animated else steps,
        is_animated=is_animated,
        keeps_profile=_family(mode) == _family(picture.mode),
        parameters=MappingProxyType(_parameters(image_format, quality, mode)),
    )


def _encoder(image_format: str, mode: str, *, has_fpng: bool) -> Encoder:
    """Choose who writes it."""
    if image_format != "png" or mode not in _ROWS:
        return "pillow"
    return "fpng" if has_fpng and mode in _FPNG else "rows"


def _fitted(picture: Picture, image_format: str) -> tuple[str, tuple[Step, ...]]:
    """Return a mode that the format has, and the steps to it."""
    modes, mode = _MODES[image_format], picture.mode
    has_alpha = mode in _ALPHA or (picture.is_transparent and image_format not in {"png", "gif"})
    if mode in modes and not (has_alpha and "RGBA" not in modes):
        return mode, ()
    if mode in _DEEP and "I;16" in modes:
        return "I;16", ("convert",)
    if mode in _DEEP:
        grey = "L" if "L" in modes else "RGB"
        return grey, ("scale", "convert")
    if has_alpha:
        kept = "LA" if mode == "La" and "LA" in modes else "RGBA"
        return (kept, ("convert",)) if kept in modes else ("RGB", ("ground",))
    return ("L" if mode == "F" and "L" in modes else "RGB"), ("convert",)


def _family(mode: str) -> str:
    """Return what a colour profile speaks of: grey, CMYK, or RGB, a palette's colours too."""
    if mode in _GREY:
        return "grey"
    return mode if mode in {"CMYK", "LAB", "YCbCr", "HSV"} else "RGB"


def _parameters(image_format: str, quality: int | None, mode: str) -> dict[str, object]:
    """Return what Pillow is told."""
    if image_format == "png":
        return {"compress_level": 1}
    if image_format == "jpeg":
        is_whole = quality is None and mode != "L"
        return {"quality": quality or 95, **({"subsampling": 0} if is_whole else {})}
    if image_format == "tiff":
        return {"compression": "tiff_adobe_deflate"} if mode not in {"1", "F", "I"} else {}
    return {} if quality is None else {"quality": quality}
