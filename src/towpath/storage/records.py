"""What is known of a stored file. Plain values."""

import re
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from towpath.clock import iso
from towpath.errors import ObjectExpiredError

__all__ = ["ID_PATTERN", "Page", "StoredFile", "Usage", "Wanted"]

ID_PATTERN = re.compile(r"[a-z2-7]{32}")
"""160 random bits in base32, lower case."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file in the store.

    Attributes:
        id: 32 characters; nobody can guess it.
        name: the file's name as its maker gave it, cleaned.
        content_type: as given or guessed at save.
        size: bytes.
        sha256: 64 hex digits of the content.
        created: when it was saved, seconds since 1970.
        expires: the second from which it is gone, or None.
        owner: the app that saved it, or ''.
        access: who may read it: public, forbid (403) or hide (404).
    """

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    created: float
    expires: int | None
    owner: str = ""
    access: str = "public"

    def checked(self, now: float) -> "StoredFile":
        """Return this file; raise ObjectExpiredError when its life is over."""
        if self.expires is not None and now >= self.expires:
            raise ObjectExpiredError(self.id, expired_at=iso(self.expires))
        return self

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Return the sidecar's content."""
        return {"v": 1} | {name: getattr(self, name) for name in _names()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "StoredFile":  # Any: JSON
        """Read a sidecar's content; unknown keys are passed over."""
        return cls(**{name: content[name] for name in _names() if name in content})


@cache
def _names() -> tuple[str, ...]:
    return tuple(item.name for item in fields(StoredFile))


@dataclass(frozen=True, slots=True)
class Usage:
    """What the files of one owner take.

    Attributes:
        owner: the app or the key; '' for none.
        files: how many.
        size: their bytes.
    """

    owner: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files are to be listed.

    Attributes:
        now: the wall clock.
        owner: only those of this one.
        expired: those whose life is over, instead of those that can be read.
        after: creation time and id of the last one that was listed before.
        limit: at most so many.
    """

    now: float
    owner: str | None = None
    expired: bool = False
    after: tuple[float, str] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some files, the oldest first.

    Attributes:
        files: these.
        cursor: what to ask with for the next ones; None = there are no more.
    """

    files: list[StoredFile]
    cursor: str | None
