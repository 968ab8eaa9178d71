"""The types of settings, and how their texts are read: sizes, lists, lifetimes."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

__all__ = ["Life", "Listed", "Size", "bytes_of"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def bytes_of(text: str) -> int:
    """Read `64MiB` as bytes.

    Raises:
        ValueError: it is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS:
        message = "give bytes, or a number with a unit such as 64MiB or 2GB"
        raise ValueError(message)
    return int(float(match[1]) * _UNITS[match[2].lower()])


def _size(value: object) -> object:
    """Read a text as bytes."""
    return bytes_of(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Read `a, b` as a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _lifetime(value: object) -> object:
    """Read `3600` as seconds."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Life = Annotated[
    Annotated[int, Field(ge=1, le=3_153_600_000)]
    | Literal["never", "immediate", "1h", "1d", "7d", "30d", "1y"],
    BeforeValidator(_lifetime),
]
