"""A file that is not whole yet: beside its target, locked, and never under its final name."""

import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from towpath.storage.disk import sync

__all__ = ["Part", "sweep"]

_PATTERN = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_STALE_SECONDS = 24 * 3600
_LONGEST_STEM = 230  # bytes, so that the part's own name fits 255
_SWEEP_EVERY = 600.0
_MOST_REMEMBERED = 10_000
_swept: dict[str, float] = {}
_swept_lock = threading.Lock()


class Part:
    """An open part.

    Attributes:
        path: where it lies.
        descriptor: open for reading and writing.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def create(cls, target: Path, token: str) -> "Part":
        """Open a part beside *target*, locked, so that a sweep knows it is alive.

        Args:
            target: the final path.
            token: 8 hex digits that the part has in its name, unless a living part has them.

        Raises:
            OSError: the folder cannot be written to.
        """
        name = target.name.encode()[:_LONGEST_STEM].decode(errors="ignore")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            path = target.with_name(f".{name}.{token}.part")
            token = secrets.token_hex(4)
            try:
                descriptor = os.open(path, flags, 0o666)
            except FileExistsError:
                if (left := cls.adopt(path)) is not None:
                    left.resize(0)
                    return left
                continue
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
            os.close(descriptor)  # swept between the two calls

    @classmethod
    def adopt(cls, path: Path) -> "Part | None":
        """Open the part of a process that died, or return None when it is gone or in use."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
        except OSError:
            pass
        os.close(descriptor)
        return None

    def write_at(self, view: memoryview | bytes, offset: int) -> None:
        """Write all of *view* at *offset*."""
        done = os.pwrite(self.descriptor, view, offset)
        while done < len(view):
            done += os.pwrite(self.descriptor, view[done:], offset + done)

    def resize(self, size: int) -> None:
        """Cut or lengthen the file; what is new is a hole.

        A file that has the size is left alone: ext4 writes a file out when it is closed if it was
        ever cut to nothing, which would make the caller wait for the disk.
        """
        if os.fstat(self.descriptor).st_size != size:
            os.ftruncate(self.descriptor, size)

    def sync(self) -> None:
        """Bring what was written to the disk."""
        getattr(os, "fdatasync", os.fsync)(self.descriptor)

    def publish(self, target: Path, *, durable: bool) -> os.stat_result:
        """Put the part in the place of *target* at once; return its status.

        Raises:
            OSError: it cannot be; the part is still there.
        """
        if durable:
            os.fsync(self.descriptor)
        self.path.replace(target)
        status = os.fstat(self.descriptor)
        if durable:
            sync(target.parent)
        return status

    def drop(self) -> None:
        """Remove the part."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close it; a part that is neither published nor dropped stays for a later try."""
        os.close(self.descriptor)


def sweep(folder: Path, is_kept: Callable[[Path], bool], *, now: bool = False) -> int:
    """Remove parts in *folder* whose process died; return how many bytes they had.

    Args:
        folder: where to look; once in ten minutes, unless *now*.
        is_kept: says of a part whether it is remembered for a later try.
        now: look at once.
    """
    if not (_is_due(str(folder)) or now):
        return 0
    with os.scandir(folder) as entries:
        parts = [Path(entry.path) for entry in entries if _PATTERN.fullmatch(entry.name)]
    return sum(_remove_orphan(part) for part in parts if not is_kept(part))


def _is_due(folder: str) -> bool:
    """Return whether *folder* was not looked at for a while, and note that it is now."""
    now = time.monotonic()
    with _swept_lock:
        if now - _swept.get(folder, -_SWEEP_EVERY) < _SWEEP_EVERY:
            return False
        if len(_swept) > _MOST_REMEMBERED:
            _swept.clear()
        _swept[folder] = now
        return True


def _remove_orphan(path: Path) -> int:
    """Remove *path* unless its lock is held; without locks, when it is a day old."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        status = os.fstat(descriptor)
        if not _is_dead(descriptor, status):
            return 0
        path.unlink()
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return status.st_blocks * 512


def _is_dead(descriptor: int, status: os.stat_result) -> bool:
    """Return whether nobody writes to the part any more."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return status.st_mtime < time.time() - _STALE_SECONDS
    return True
