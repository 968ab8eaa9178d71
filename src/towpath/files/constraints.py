"""What files that callers give have to be like: stated in the schema, and enforced."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from typing_extensions import override

from towpath.errors import InputError
from towpath.files.facts import MediaFacts
from towpath.media.content_types import sniff

__all__ = [
    "AudioConstraints",
    "FileConstraints",
    "ImageConstraints",
    "VideoConstraints",
    "check_size_of",
]

_KINDS = ("image", "video", "audio")


@dataclass(frozen=True, kw_only=True)
class FileConstraints:
    """What a file has to be like.

    Attributes:
        max_bytes: bytes at most.
        content_types: types that are taken, such as `image/png` or `image/*`, by the file's first
            bytes; none given = all.
    """

    max_bytes: int | None = None
    content_types: Sequence[str] = ()

    def to_schema(self) -> dict[str, Any]:  # Any: JSON
        """Return the limits as the schema states them: those that are set."""
        told = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple | list) else value
            for name, value in told.items()
            if value not in (None, ())
        }

    @property
    def needs_facts(self) -> bool:
        """Return whether the file has to be looked into."""
        return bool(set(self.to_schema()) - {"max_bytes", "content_types"})

    def check_head(self, head: bytes, field: str, at: Sequence[str | int] = ()) -> None:
        """Refuse a file of another type.

        Raises:
            InputError: it is.
        """
        if not self.content_types:
            return
        kind = sniff(head) or "application/octet-stream"
        family = kind.partition("/")[0]
        if {kind, f"{family}/*", "*/*"} & set(self.content_types):
            return
        wanted = self.content_types[0].partition("/")[0]
        slug = f"unsupported_{wanted}_format" if wanted in _KINDS else "unsupported_file_format"
        listed = ", ".join(self.content_types)
        message = f"The file is {kind}; send one of {listed}."
        ctx = {"supported_formats": list(self.content_types), "content_type": kind}
        raise InputError(message, field, type=slug, ctx=ctx, at=at)

    def check_facts(self, facts: MediaFacts, field: str, at: Sequence[str | int] = ()) -> None:
        """Refuse media that are not as they have to be.

        Raises:
            InputError: they are not.
        """


@dataclass(frozen=True, kw_only=True)
class ImageConstraints(FileConstraints):
    """What a picture has to be like.

    Attributes:
        min_width: pixels across, at least; and so on.
        min_aspect_ratio: width by height, at least.
    """

    min_width: int | None = None
    max_width: int | None = None
    min_height: int | None = None
    max_height: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None

    @override
    def check_facts(self, facts: MediaFacts, field: str, at: Sequence[str | int] = ()) -> None:
        """Refuse a picture of another size.

        Raises:
            InputError: it is too small, too large, too wide or too tall.
        """
        width, height = facts.width or 0, facts.height or 0
        if width and height:
            check_size_of(self, width, height, field, at)


def check_size_of(
    limits: ImageConstraints,
    width: int,
    height: int,
    field: str,
    at: Sequence[str | int] = (),
) -> None:
    """Refuse a width and height that are beyond *limits*.

    Raises:
        InputError: they are.
    """
    here = f"The picture has {width}x{height} pixels"
    for name, value in (("width", width), ("height", height), ("pixels", width * height)):
        least, most = getattr(limits, f"min_{name}"), getattr(limits, f"max_{name}")
        what = "pixels in all" if name == "pixels" else f"in {name}"
        if most is not None and value > most:
            message = f"{here}; at most {most} {what} are taken."
            ctx = {f"max_{name}": most, name: value}
            raise InputError(message, field, type="image_too_large", ctx=ctx, at=at)
        if least is not None and value < least:
            message = f"{here}; at least {least} {what} are needed."
            ctx = {f"min_{name}": least, name: value}
            raise InputError(message, field, type="image_too_small", ctx=ctx, at=at)
    ratio = width / height
    _check_range("aspect ratio", ratio, limits.min_aspect_ratio, limits.max_aspect_ratio, field, at)


@dataclass(frozen=True, kw_only=True)
class VideoConstraints(ImageConstraints):
    """What a video has to be like.

    Attributes:
        min_duration: seconds, at least.
        max_duration: seconds, at most.
        min_fps: pictures a second, at least.
        max_fps: pictures a second, at most.
    """

    min_duration: float | None = None
    max_duration: float | None = None
    min_fps: float | None = None
    max_fps: float | None = None

    @override
    def check_facts(self, facts: MediaFacts, field: str, at: Sequence[str | int] = ()) -> None:
        """Refuse a video of another size, length or rate.

        Raises:
            InputError: it is.
        """
        ImageConstraints.check_facts(self, facts, field, at)
        _check_range("duration", facts.duration, self.min_duration, self.max_duration, field, at)
        _check_range("fps", facts.fps, self.min_fps, self.max_fps, field, at)


@dataclass(frozen=True, kw_only=True)
class AudioConstraints(FileConstraints):
    """What a sound has to be like.

    Attributes:
        min_duration: seconds, at least.
        max_duration: seconds, at most.
        sample_rates: samples a second that are taken; none given = all.
    """

    min_duration: float | None = None
    max_duration: float | None = None
    sample_rates: Sequence[int] = ()

    @override
    def check_facts(self, facts: MediaFacts, field: str, at: Sequence[str | int] = ()) -> None:
        """Refuse a sound of another length or rate.

        Raises:
            InputError: it is.
        """
        _check_range("duration", facts.duration, self.min_duration, self.max_duration, field, at)
        rate = facts.sample_rate
        if self.sample_rates and rate not in self.sample_rates:
            listed = ", ".join(map(str, self.sample_rates))
            message = f"The sound has {rate} samples a second; send one of {listed}."
            ctx = {"expected": list(self.sample_rates), "sample_rate": rate}
            raise InputError(message, field, type="one_of", ctx=ctx, at=at)


def _check_range(
    name: str,
    value: float | None,
    least: float | None,
    most: float | None,
    field: str,
    at: Sequence[str | int],
) -> None:
    """Refuse a value outside of its limits; one that is not known is outside."""
    if least is None and most is None:
        return
    if value is None:
        _refuse(f"Its {name} cannot be told", {}, "value_error", field, at)
    if most is not None and value > most:
        _refuse(
            f"Its {name} is {value:g}; at most {most:g} is taken",
            {"le": most, "actual": value},
            "less_than_equal",
            field,
            at,
        )
    if least is not None and value < least:
        _refuse(
            f"Its {name} is {value:g}; at least {least:g} is needed",
            {"ge": least, "actual": value},
            "greater_than_equal",
            field,
            at,
        )


def _refuse(
    message: str, ctx: dict[str, float], slug: str, field: str, at: Sequence[str | int]
) -> NoReturn:
    """Raise the error."""
    raise InputError(f"{message}.", field, type=slug, ctx=ctx, at=at)
