"""What a download that was cut off needs to go on: written beside the facts, never the file."""

import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from towpath.downloads.reuse import is_strong
from towpath.downloads.spans import Range, merged

__all__ = ["Journal", "Saved"]

_YOUNG_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Saved:
    """A part that can be gone on with.

    Attributes:
        part: its path.
        size: bytes of the whole file.
        etag: the strong validator of the version that the part belongs to.
        done: the ranges that are on disk.
    """

    part: str
    size: int
    etag: str
    done: tuple[Range, ...]


class Journal:
    """The journal of one download. Writing may fail silently: that costs a transfer, no file.

    Args:
        path: where it is kept.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self, folder: Path) -> Saved | None:
        """Return what was saved, if it is younger than a day and its part lies in *folder*."""
        try:
            if os.stat(self.path).st_mtime < time.time() - _YOUNG_SECONDS:  # noqa: PTH116 - hot
                return None
            saved = _read(Path(self.path).read_bytes())
            part = Path(saved.part)
            is_right = part.parent == folder and part.lstat().st_size == saved.size
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return saved if is_right else None

    def part(self) -> Path | None:
        """Return the part that it speaks of, however old it is, if that can be read."""
        try:
            part = Path(_read(Path(self.path).read_bytes()).part)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return part if part.parent.is_dir() else None

    def write(self, saved: Saved) -> None:
        """Replace the journal; the ranges have to be on disk by now."""
        path = Path(self.path)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        content = {
            "v": 1,
            "part": saved.part,
            "size": saved.size,
            "etag": saved.etag,
            "done": saved.done,
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(content))
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget the part."""
        with suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 - every download passes here


def _read(content: bytes) -> Saved:
    """Check what a file says; anything odd is an error that load() takes as nothing."""
    told = json.loads(content)
    done = tuple(merged((int(a), int(b)) for a, b in told["done"]))
    saved = Saved(str(told["part"]), int(told["size"]), str(told["etag"]), done)
    in_order = all(0 <= a < b <= saved.size for a, b in done)
    if told["v"] != 1 or not in_order or not is_strong(saved.etag):
        raise ValueError
    return saved
