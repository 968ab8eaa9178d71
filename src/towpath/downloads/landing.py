"""Bytes -> a whole file under its final name, or nothing."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from towpath.downloads.limits import Limits, counted, is_full
from towpath.downloads.part import Part
from towpath.downloads.reuse import Facts, Head
from towpath.downloads.transfer import Brought
from towpath.errors import DiskFullError, DownloadError
from towpath.errors.redaction import shown
from towpath.net.telling import tell_operator

__all__ = ["Landing", "land", "prepared", "published", "unwritable", "writing_to"]


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a download goes.

    Attributes:
        folder: the folder.
        key: what its facts are kept under.
        is_weights: whether it is synced before it appears, counts against the cache's limit, and
            what is here of it is kept after an error.
    """

    folder: Path
    key: str
    is_weights: bool = False


def land(
    head: Head, chunks: Iterable[bytes | memoryview], target: Path, *, limits: Limits
) -> Facts:
    """Write *chunks* beside *target* and put them in its place at once.

    On any error the target is what it was, and nothing else is left.

    Raises:
        FileTooLargeError: a limit was crossed, by one byte or more.
        DiskFullError: there is no room for it.
        DownloadError: the folder cannot be written to, or a folder has the target's name.
    """
    with writing_to(head, target):
        prepared(target)
        limits.check_room(head, target.parent)
        part = Part.create(target, os.urandom(4).hex())
        try:
            size = _write(part, counted(head, chunks, limits))
            return published(part, target, Brought(head, size, None))
        except BaseException:
            part.drop()
            raise
        finally:
            part.close()


def _write(part: Part, chunks: Iterable[bytes | memoryview]) -> int:
    """Write every chunk whole; return how many bytes there were."""
    at = 0
    for chunk in chunks:
        part.write_at(chunk, at)
        at += len(chunk)
    return at


def prepared(target: Path) -> None:
    """Make the folder of *target* and see that no folder is in its way.

    Raises:
        OSError: it cannot be.
    """
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        raise IsADirectoryError(None, "a folder of that name is in the way")


def published(part: Part, target: Path, brought: Brought, *, is_durable: bool = False) -> Facts:
    """Put *part* in the place of *target*; return what is known of the file now.

    Raises:
        OSError: it cannot be.
    """
    status = part.publish(target, durable=is_durable)
    head = brought.head
    return Facts(
        target.name,
        status.st_size,
        status.st_mtime_ns,
        head.etag,
        head.last_modified,
        brought.sha256,
        unverified=head.size is None and brought.sha256 is None,
    )


@contextmanager
def writing_to(head: Head, target: Path) -> Iterator[None]:
    """Turn what the file system says into our error, with the path and the fix.

    Raises:
        DiskFullError: there is no room left.
        DownloadError: anything else.
    """
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        if is_full(error):
            raise DiskFullError(head.url, need=head.size or 1, free=0) from error
        raise unwritable(head.url, target, error) from error


def unwritable(url: str, target: Path, error: OSError) -> DownloadError:
    """Return the error for a *target* that cannot be written; the operator is told its folder."""
    why = error.strerror or type(error).__name__
    reason = f"the file {shown(target.name)} cannot be written: {why}."
    failure = DownloadError(url, reason, advice="Choose another target_dir.")
    tell_operator(failure, f"{shown(str(target))} cannot be written: {why}")
    return failure
