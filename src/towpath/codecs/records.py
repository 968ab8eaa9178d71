"""What the decoder's process and ours say to each other: framed records. Pure."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["HEADER", "Ask", "MediaLimits", "Work", "packed", "unpacked"]

HEADER = struct.Struct("<cI")
"""The kind of a record and its bytes.

J: facts as JSON. V: a picture. A: samples. E: an error as JSON. Z: the end.
"""

Work = Literal["facts", "frames", "picture", "samples"]
"""What is asked for; picture is one frame."""


@dataclass(frozen=True)
class MediaLimits:
    """What media may ask for.

    Attributes:
        pixels: of one frame.
        frames: pictures in all.
        seconds: of sound or video.
        bytes: decoded, in all.
    """

    pixels: int = 100_000_000
    frames: int = 200_000
    seconds: float = 3600.0
    bytes: int = 2**42


@dataclass(frozen=True)
class Ask:
    """What is asked of the decoder.

    Attributes:
        work: facts, frames, picture (one frame) or samples.
        demuxer: FFmpeg's name of the only format that is tried.
        limits: what the media may ask for.
        at: the second of the picture.
        rate: samples a second that are wanted; 0 = as they are.
    """

    work: Work
    demuxer: str
    limits: MediaLimits
    at: float = 0.0
    rate: int = 0

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Ask":
        """Read what `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        return cls(**{**told, "limits": MediaLimits(**told["limits"])})


def packed(kind: bytes, content: bytes | Mapping[str, object]) -> bytes:
    """Return one record, header first."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return HEADER.pack(kind, len(body)) + body


def unpacked(header: bytes) -> tuple[bytes, int]:
    """Return the kind of a record and the bytes that follow its header."""
    kind, size = HEADER.unpack(header)
    return kind, size
