"""Copies that this process has seen whole: found again by one look at the file."""

import os
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.downloads.askers import asker_of
from towpath.downloads.wanted import LONGEST_URL
from towpath.media.data_uri import is_data_uri

__all__ = ["Hits", "memory_of"]

_MOST = 4096


@dataclass(frozen=True, slots=True)
class _Hit:
    """What a file was when it was whole."""

    path: Path
    text: str
    size: int
    mtime_ns: int
    facts_path: str


def memory_of(
    options: Mapping[str, object],
    url: object,
    headers: Mapping[str, str] | None,
    *rest: Hashable,
) -> Hashable:
    """Return what a call is remembered under: all it says, so that none skips a check of its own.

    None where the copy has to be hashed again, and for inline data and what is no URL.
    """
    is_url = isinstance(url, str) and len(url) <= LONGEST_URL and not is_data_uri(url)
    if not is_url or options.get("verify"):
        return None
    return (url, asker_of(str(url), headers), *rest, repr(options) if options else "")


class Hits:
    """Remembers pinned files; one that was changed, cut or removed is not found."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Hit] = {}

    def look(self, key: Hashable) -> Path | None:
        """Return the path remembered under *key* if the file is still what it was.

        Notes the use, by which the least recently used are evicted.
        """
        hit = None if key is None else self._known.get(key)
        if hit is None:
            return None
        try:
            status = os.stat(hit.text)  # noqa: PTH116 - every repeated call passes here
            if status.st_size != hit.size or status.st_mtime_ns != hit.mtime_ns:
                return None
            os.utime(hit.facts_path, ns=(time.time_ns(),) * 2)
        except OSError:
            self._known.pop(key, None)
            return None
        return hit.path

    def remember(self, key: Hashable, path: Path, facts_path: str) -> None:
        """Remember that the file at *path* is whole, now; nothing under None."""
        if key is None:
            return
        try:
            status = path.lstat()
        except OSError:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        text = os.fspath(path)
        self._known[key] = _Hit(path, text, status.st_size, status.st_mtime_ns, facts_path)
