"""What keeps bytes from being the file they should be, and inputs from being used."""

from collections.abc import Mapping, Sequence
from typing import Literal

from towpath.errors.redaction import shown, shown_url
from towpath.errors.root import TowpathError

__all__ = [
    "BrokenArchiveError",
    "BrokenImageError",
    "BrokenMediaError",
    "ImageTooLargeError",
    "InputError",
    "MediaError",
    "UnsafeArchiveError",
    "UnsupportedFormatError",
]


class MediaError(TowpathError):
    """A file is not what it has to be.

    Attributes:
        url: where the file came from, if it came from a URL.
        slug: the `type` of the entry in an HTTP error body.
        advice: see TowpathError.
    """

    slug = "file_download_error"

    def __init__(self, message: str, *, url: str | None = None, advice: str = "") -> None:
        self.url = url
        self.advice = advice
        whole = f"{message} ({shown_url(url)})" if url else message
        super().__init__(f"{whole} {advice}".rstrip())


class UnsupportedFormatError(MediaError, ValueError):
    """The format is not one that can be read or written here.

    Args:
        message: what is wrong and what to use instead.
        url: where the file came from, if it came from a URL.
        kind: what kind of file it is about.
        advice: see TowpathError.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str | None = None,
        kind: Literal["image", "audio", "video", "archive"] = "image",
        advice: str = "",
    ) -> None:
        super().__init__(message, url=url, advice=advice)
        self.slug = "invalid_archive" if kind == "archive" else f"unsupported_{kind}_format"


class BrokenImageError(MediaError):
    """The bytes are not a whole image."""

    slug = "image_load_error"


class ImageTooLargeError(MediaError):
    """The image has more pixels than are decoded."""

    slug = "image_too_large"

    def __init__(self, *, pixels: int, limit: int, url: str | None = None) -> None:
        self.pixels = pixels
        self.limit = limit
        super().__init__(
            f"The image has {pixels} pixels over all frames, and the limit is {limit}. "
            "Use a smaller image.",
            url=url,
            advice="Raise TOWPATH_IMAGE_MAX_PIXELS to take it.",
        )


class BrokenMediaError(MediaError):
    """The bytes are not audio or video that can be decoded."""


class BrokenArchiveError(MediaError):
    """The bytes are not a whole archive.

    Args:
        reason: what is wrong: a sentence; of a member, what follows "is damaged: ".
        member: the name of the damaged entry, if one is to blame.
        url: where the archive came from, if it came from a URL.

    Attributes:
        member: the name of the damaged entry, if one is to blame.
    """

    slug = "invalid_archive"

    def __init__(self, reason: str, *, member: str | None = None, url: str | None = None) -> None:
        self.member = member
        where = "" if member is None else f"Member '{shown(member)}' of the archive is damaged: "
        super().__init__(f"{where}{reason}", url=url)


class UnsafeArchiveError(MediaError):
    """The archive asks for something that is not done.

    Attributes:
        member: the name of the offending entry, if one is to blame.
    """

    slug = "invalid_archive"

    def __init__(self, reason: str, *, member: str | None = None, url: str | None = None) -> None:
        self.member = member
        where = f"Member '{shown(member)}' of the archive" if member is not None else "The archive"
        super().__init__(f"{where} is refused: {reason}", url=url)


class InputError(TowpathError):
    """Tell the caller what is wrong with an input; the answer is a 422 at that field.

    Args:
        message: what is wrong and what to send instead.
        field: the name of the input, if one is to blame.
        type: the word that programs look for.
        ctx: the numbers, for programs.
        at: where in the input it is, such as the index in a list.
    """

    def __init__(
        self,
        message: str,
        field: str | None = None,
        *,
        type: str = "value_error",  # noqa: A002 - the key of the error body that clients read
        ctx: Mapping[str, object] | None = None,
        at: Sequence[str | int] = (),
    ) -> None:
        self.field = field
        self.at = tuple(at)
        self.type = type
        self.ctx = dict(ctx or {})
        super().__init__(message)
