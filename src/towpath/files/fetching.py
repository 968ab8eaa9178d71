"""A file's content on the local disk, in a folder that is removed with its owner."""

from dataclasses import replace
from pathlib import Path, PosixPath

from towpath.downloads.download import fetch_into
from towpath.downloads.wanted import wanted
from towpath.storage.hosting import current_hosting
from towpath.temporaries import Temporary, kept_temporary

__all__ = ["local_copy"]

_LEAST_SHARED = 16 * 2**20
"""Bytes from which a file of our own store is linked instead of copied."""


class KeptPath(PosixPath):
    """A path that keeps its folder: without a request, the file stays for as long as it does."""

    temporary: Temporary | None = None


def local_copy(url: str, limit: int | None) -> Path:
    """Bring the content of *url* to the disk.

    The file belongs to the current request; outside of one, to whoever holds the path.

    Raises:
        FileTooLargeError: it has more than *limit* bytes.
        DownloadError: the URL cannot be read.
    """
    folder = kept_temporary()
    try:
        request = replace(wanted(url), limit=limit)
        shared = _shared(url, folder.path, limit)
        path = KeptPath(shared or fetch_into(request, folder.path))
    except BaseException:
        folder.close()
        raise
    path.temporary = folder
    return path


def _shared(url: str, folder: Path, limit: int | None) -> Path | None:
    """Return a file of our own store without a copy, if that can be; its errors are the fetch's."""
    hosting = current_hosting()
    file_id = hosting.id_in(url) if hosting is not None else None
    if hosting is None or file_id is None:
        return None
    path = hosting.share(file_id, folder, least=_LEAST_SHARED)
    if path is not None and limit is not None and path.stat().st_size > limit:
        path.unlink()
        return None
    return path
