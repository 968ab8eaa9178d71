"""CompressedFile: an archive that unpacks itself, within limits."""

import io
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Self

from pydantic import PrivateAttr
from typing_extensions import override

from towpath.downloads.download import bring_to
from towpath.downloads.wanted import wanted
from towpath.files.file import File
from towpath.files.unpacking import Budget, unpack_zip
from towpath.settings import active

__all__ = ["CompressedFile"]


class CompressedFile(File):
    """A ZIP archive with a public URL; unpacked at the first use, into a temporary folder.

    The folder is removed when the object is closed, collected, or the process ends; an iterator
    keeps it alive. Paths that outlive the object are gone with it.
    """

    _folder: Path | None = PrivateAttr(default=None)
    _remove: "weakref.finalize[[str, bool], CompressedFile] | None" = PrivateAttr(default=None)

    @override
    def __iter__(self) -> Iterator[Path]:  # type: ignore[override]  # the seed fixes it
        """Yield what lies at the archive's top level, folders included, in order.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenArchiveError: it is not a whole ZIP.
            UnsafeArchiveError: it asks for more than the limits, or for what is never done.
        """
        yield from sorted(self._unpacked().iterdir())

    def glob(self, pattern: str) -> Iterator[Path]:
        """Yield the unpacked paths that match *pattern* (`**/` looks into folders), in order.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenArchiveError: it is not a whole ZIP.
            UnsafeArchiveError: it asks for more than the limits, or for what is never done.
        """
        yield from sorted(self._unpacked().glob(pattern))

    def _unpacked(self) -> Path:
        """Return the folder, unpacking at the first call."""
        if self._folder is None:
            settings = active()
            budget = Budget(
                entries=settings.archive_max_entries,
                size=settings.archive_max_bytes,
                ratio=settings.archive_max_ratio,
                depth=settings.archive_max_depth,
            )
            folder = Path(tempfile.mkdtemp(prefix="towpath-archive-"))
            self._remove = weakref.finalize(self, rmtree, str(folder), True)  # noqa: FBT003
            try:
                self._unpack(folder, budget)
            except BaseException:
                self.close()
                raise
            self._folder = folder
        return self._folder

    def _unpack(self, folder: Path, budget: Budget) -> None:
        """Unpack what is here, or what the URL gives: from disk, so that memory stays small."""
        if self._data is not None:
            unpack_zip(io.BytesIO(self._data), folder, budget, url=self.url)
            return
        packed = folder.with_suffix(".zip")
        try:
            bring_to(replace(wanted(self.url), limit=budget.size), packed)
            with packed.open("rb") as stream:
                unpack_zip(stream, folder, budget, url=self.url)
        finally:
            packed.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove what was unpacked; the next use unpacks again."""
        if self._remove is not None:
            self._remove()
        self._folder = self._remove = None

    def __enter__(self) -> Self:
        """Return this archive; it is closed when the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
