"""A file's content on the local disk, in a folder that is removed with its owner."""

from dataclasses import replace
from pathlib import Path, PosixPath

from towpath.downloads.download import fetch_into
from towpath.downloads.wanted import wanted
from towpath.temporaries import Temporary, kept_temporary

__all__ = ["local_copy"]


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
        path = KeptPath(fetch_into(replace(wanted(url), limit=limit), folder.path))
    except BaseException:
        folder.close()
        raise
    path.temporary = folder
    return path
