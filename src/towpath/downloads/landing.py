"""Chunks -> a whole file under its final name, or nothing."""

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from towpath.downloads.reuse import Facts, Head
from towpath.errors import DiskFullError, DownloadError, FileTooLargeError
from towpath.errors.redaction import shown
from towpath.settings import reserve_of
from towpath.storage.local import sync_folder

__all__ = ["Limits", "counted", "land"]

_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_STALE_SECONDS = 24 * 3600
_MARK = 8
_LONGEST_STEM = 230  # bytes, so that the part's own name fits 255


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be written.

    Attributes:
        given: bytes that the caller allows; None = no such limit.
        undeclared: bytes of a body whose length nobody declared.
        reserve: bytes of the disk that stay free; None = the default of the settings.
    """

    given: int | None
    undeclared: int
    reserve: int | None

    def most(self, head: Head) -> int | None:
        """Return the bytes at which to stop, or None when only the disk limits."""
        if self.given is not None:
            return self.given
        return self.undeclared if head.size is None else None


def counted(head: Head, chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Pass *chunks* on; stop with FileTooLargeError at the first byte over the limit."""
    most, got = limits.most(head), 0
    for chunk in chunks:
        got += len(chunk)
        if most is not None and got > most:
            raise FileTooLargeError(head.url, size=got, limit=most)
        yield chunk


def land(
    head: Head, chunks: Iterable[bytes], target: Path, *, limits: Limits, durable: bool = False
) -> Facts:
    """Write *chunks* beside *target* and put them in its place at once.

    On any error the target is what it was, and nothing else is left.

    Raises:
        FileTooLargeError: a limit was crossed, by one byte or more.
        DiskFullError: there is no room for it.
        DownloadError: the folder cannot be written to, or a folder has the target's name.
    """
    with _as_download_error(head.url, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            raise IsADirectoryError(None, "a folder of that name is in the way")
        _check_room(head, target.parent, limits)
        _sweep(target.parent)
        part, descriptor = _create(target)
        try:
            _write(descriptor, counted(head, chunks, limits))
            if durable:
                os.fsync(descriptor)
            status = os.fstat(descriptor)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        if durable:
            sync_folder(target.parent)
    return Facts(target.name, status.st_size, status.st_mtime_ns, head.etag, head.last_modified)


def _write(descriptor: int, chunks: Iterable[bytes]) -> None:
    """Write every chunk whole."""
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]


def _create(target: Path) -> tuple[Path, int]:
    """Open a new part beside *target* and lock it, so that a sweep knows it is alive."""
    name = target.name.encode()[:_LONGEST_STEM].decode(errors="ignore")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        token = secrets.token_hex(_MARK // 2)
        part = target.with_name(f".{name}.{token}.part")
        descriptor = os.open(part, flags, 0o666)
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return part, descriptor
        os.close(descriptor)  # swept between the two calls


def _sweep(folder: Path) -> None:
    """Remove parts in *folder* whose process died."""
    with os.scandir(folder) as entries:
        parts = [Path(entry.path) for entry in entries if _PART.fullmatch(entry.name)]
    for part in parts:
        with suppress(OSError):
            _remove_if_orphaned(part)


def _remove_if_orphaned(part: Path) -> None:
    """Remove *part* unless its lock is held; without locks, when it is a day old."""
    descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink()
    except BlockingIOError:
        return
    except OSError:
        if os.fstat(descriptor).st_mtime < time.time() - _STALE_SECONDS:
            part.unlink()
    finally:
        os.close(descriptor)


def _check_room(head: Head, folder: Path, limits: Limits) -> None:
    """Refuse what the disk cannot hold, before its first byte."""
    usage = shutil.disk_usage(folder)
    spare = max(0, usage.free - reserve_of(usage.total, limits.reserve))
    if head.size is not None and head.size > spare:
        raise DiskFullError(head.url, need=head.size, free=spare)


@contextmanager
def _as_download_error(url: str, target: Path) -> Iterator[None]:
    """Turn what the file system says into our error, with the path and the fix."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        why = error.strerror or type(error).__name__
        reason = f"{shown(str(target))} cannot be written: {why}. Choose another target_dir."
        raise DownloadError(url, reason) from error
