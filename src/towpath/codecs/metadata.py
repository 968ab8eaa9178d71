"""What a picture says beside its pixels: profile, texts, resolution, orientation."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from towpath.codecs.png import Chunk

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["chunks_of", "orientation_of", "profile_of", "resolution_of", "texts_of"]

_ORIENTATION = 0x0112
_LONGEST_KEY = 79
_NO_TEXTS = frozenset(
    {"compression", "XML:com.adobe.xmp", "xmp", "comment", "version", "icc_profile"}
)
_INCH = 0.0254


def orientation_of(image: PILImage) -> int:
    """Return the EXIF orientation, 1 to 8; 1 when it says nothing or nonsense."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - a stranger's EXIF breaks in every way there is
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1  # noqa: PLR2004


def profile_of(image: PILImage) -> bytes | None:
    """Return the ICC profile, if there is one."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None


def resolution_of(image: PILImage) -> tuple[float, float] | None:
    """Return the dots an inch across and down, if they are there and make sense."""
    dpi: Any = image.info.get("dpi")
    try:
        across, down = float(dpi[0]), float(dpi[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 2**31 and 0 < down < 2**31 else None


def texts_of(image: PILImage) -> dict[str, str]:
    """Return the texts of a PNG, such as the parameters that a generator wrote into it."""
    own = getattr(image, "text", None)
    found: Mapping[Any, Any] = own if isinstance(own, Mapping) else image.info
    return {
        str(key): str(value)
        for key, value in found.items()
        if isinstance(key, str) and isinstance(value, str) and _is_keyword(key)
    }


def _is_keyword(key: str) -> bool:
    """Return whether PNG allows a keyword (section 11.3.3.1)."""
    in_latin = all(32 <= ord(letter) <= 126 or ord(letter) >= 161 for letter in key)  # noqa: PLR2004
    fits = 1 <= len(key) <= _LONGEST_KEY and key == key.strip() and key.isprintable()
    return fits and in_latin and all(ord(letter) < 256 for letter in key) and key not in _NO_TEXTS  # noqa: PLR2004


def chunks_of(image: PILImage, *, with_profile: bool = True) -> list[Chunk]:
    """Return what a PNG of *image* holds beside its pixels."""
    chunks: list[Chunk] = []
    profile = profile_of(image) if with_profile else None
    if profile is not None:
        chunks.append(Chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    dpi = resolution_of(image)
    if dpi is not None:
        across, down = (round(each / _INCH).to_bytes(4, "big") for each in dpi)
        chunks.append(Chunk(b"pHYs", across + down + b"\x01"))
    return chunks + [_text(key, value) for key, value in texts_of(image).items()]


def _text(key: str, value: str) -> Chunk:
    """Return a text, in Latin-1 where that has all its letters."""
    name = key.encode("latin-1")
    try:
        return Chunk(b"tEXt", name + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        text = value.encode("utf-8", "replace")
        return Chunk(b"iTXt", name + b"\0\0\0\0\0" + text)
