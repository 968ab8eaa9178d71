"""CompressedFile: an archive that unpacks itself, within limits; and archives made of files."""

import difflib
import io
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import BinaryIO, Self, Unpack

from pydantic import PrivateAttr
from typing_extensions import override

from towpath.archives.archive import extract, extract_one
from towpath.archives.members import Budget
from towpath.archives.opening import OpenedArchive, opened_archive
from towpath.archives.packing import (
    Entry,
    content_type_of_archive,
    entries_below,
    entries_of,
    pack,
)
from towpath.concurrency import in_thread
from towpath.downloads.download import bring_to
from towpath.downloads.wanted import wanted
from towpath.errors.redaction import shown
from towpath.files.file import File
from towpath.files.upload_options import UploadOptions, described
from towpath.settings import active
from towpath.temporaries import Temporary

__all__ = ["CompressedFile"]


class CompressedFile(File):
    """A ZIP, tar (.gz, .bz2, .xz, .zst) or 7z archive; unpacked at the first use, within limits.

    The folder it is unpacked to is removed when the object is closed or collected, or when the
    request or the process ends. An iterator keeps it alive for as long as it is held itself; paths
    alone do not.
    tar.zst and 7z need the `archives` extra.
    """

    _folder: Temporary | None = PrivateAttr(default=None)

    # --- creation ---

    @classmethod
    def from_paths(
        cls,
        paths: Iterable[str | PathLike[str]],
        file_name: str = "archive.zip",
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Pack files and folders into an archive and upload it.

        Args:
            paths: files, under their names; folders, with all that lies below them.
            file_name: the name that people see; its end says which archive is made: .zip, .tar,
                .tar.gz, .tgz, .tar.bz2, .tar.xz.
            options: see UploadOptions.

        Raises:
            FileNotFoundError: a path is not there.
            ValueError: two paths have one name.
            UnsupportedFormatError: no such archive is made here.
            UploadError: it could not be stored.
        """
        return cls._packed(entries_of([Path(path) for path in paths]), file_name, options)

    @classmethod
    def from_directory(
        cls,
        path: str | PathLike[str],
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Pack what lies in a folder and upload it.

        Links to files are followed, links to folders are left out.

        Args:
            path: the folder; its own name is not in the archive.
            file_name: as for from_paths; the folder's name and `.zip` by default.
            options: see UploadOptions.

        Raises:
            NotADirectoryError: there is no such folder.
            UnsupportedFormatError: no such archive is made here.
            UploadError: it could not be stored.
        """
        folder = Path(path)
        if not folder.is_dir():
            message = f"{folder} is not a folder"
            raise NotADirectoryError(message)
        name = file_name or f"{folder.resolve().name or 'archive'}.zip"
        return cls._packed(entries_below(folder), name, options)

    @classmethod
    def _packed(cls, entries: Iterable[Entry], file_name: str, options: UploadOptions) -> Self:
        """Pack *entries* and upload the archive."""
        kind = content_type_of_archive(file_name)
        with Temporary() as folder:
            target = folder / secrets.token_hex(8)
            pack(entries, target, file_name)
            return cls._uploaded(described(target, kind, file_name, move=True), options)

    # --- reading ---

    @override
    def __iter__(self) -> Iterator[Path]:  # type: ignore[override]  # the seed fixes it
        """Yield what lies at the archive's top level, folders included, in order.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenArchiveError: it is not a whole archive.
            UnsafeArchiveError: it asks for more than the limits, or for what is never done.
        """
        return _Paths(self, sorted(self._unpacked().iterdir()))

    def glob(self, pattern: str) -> Iterator[Path]:
        """Yield the unpacked paths that match *pattern* (`**/` looks into folders), in order.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenArchiveError: it is not a whole archive.
            UnsafeArchiveError: it asks for more than the limits, or for what is never done.
        """
        return _Paths(self, sorted(self._unpacked().glob(pattern)))

    def names(self) -> list[str]:
        """Return the names of the archive's files, folders before them, without unpacking it.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenArchiveError: it is not a whole archive.
            UnsafeArchiveError: it asks for more than the limits, or for what is never done.
        """
        with self._opened() as opened:
            return [each.name for each in opened.members if each.member.kind == "file"]

    def open_member(self, name: str) -> BinaryIO:
        """Open one file of the archive for reading; only it is unpacked. Close it when done.

        Args:
            name: as `names` gives it.

        Raises:
            FileNotFoundError: the archive has no such file.
            DownloadError: the URL cannot be read.
            BrokenArchiveError: it is not a whole archive.
            UnsafeArchiveError: it asks for more than the limits, or for what is never done.
        """
        with self._opened() as opened:
            files = {each.name: each for each in opened.members if each.member.kind == "file"}
            if name not in files:
                near = difflib.get_close_matches(name, files, 1)
                hint = f"; there is {shown(near[0])!r}" if near else ""
                message = f"the archive has no file {shown(name)!r}{hint}"
                raise FileNotFoundError(message)
            return extract_one(opened.archive, files[name], url=self.url)

    def _unpacked(self) -> Path:
        """Return the folder, unpacking at the first call."""
        folder = self._place() / "content"
        if not folder.exists():
            draft = self._place() / "draft"
            rmtree(draft, ignore_errors=True)
            draft.mkdir()
            try:
                with self._opened() as opened:
                    extract(opened.archive, opened.members, draft, url=self.url)
            except BaseException:
                self.close()
                raise
            draft.rename(folder)
        return folder

    def _place(self) -> Path:
        """Return the folder of this object, made at the first call."""
        if self._folder is None or not self._folder.is_there:
            self._folder = Temporary()
        return self._folder.path

    @contextmanager
    def _opened(self) -> Iterator[OpenedArchive]:
        """Open what is here, or what the URL gives: from disk, so that memory stays small."""
        settings = active()
        budget = Budget(
            entries=settings.archive_max_entries,
            size=settings.archive_max_bytes,
            ratio=settings.archive_max_ratio,
            depth=settings.archive_max_depth,
        )
        with (
            self._packed_stream(budget) as stream,
            opened_archive(stream, budget, url=self.url) as opened,
        ):
            yield opened

    def _packed_stream(self, budget: Budget) -> BinaryIO:
        """Return the archive itself, fetched once."""
        if self._data is not None:
            return io.BytesIO(self._data)
        packed = self._place() / "packed"
        if not packed.exists():
            try:
                bring_to(wanted(self.url, filesize_limit=budget.size / 2**20), packed)
            except BaseException:
                self.close()
                raise
        return packed.open("rb")

    def close(self) -> None:
        """Remove what was unpacked; the next use unpacks again."""
        if self._folder is not None:
            self._folder.close()
        self._folder = None

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

    @classmethod
    async def from_paths_async(
        cls,
        paths: Iterable[str | PathLike[str]],
        file_name: str = "archive.zip",
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_paths` does, off the event loop."""
        return await in_thread(cls.from_paths)(paths, file_name, **options)

    @classmethod
    async def from_directory_async(
        cls,
        path: str | PathLike[str],
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_directory` does, off the event loop."""
        return await in_thread(cls.from_directory)(path, file_name, **options)


class _Paths(Iterator[Path]):
    """Paths of an archive, which keep it unpacked for as long as they are held themselves."""

    def __init__(self, archive: CompressedFile, paths: Iterable[Path]) -> None:
        self._archive = archive
        self._paths = iter(paths)

    @override
    def __next__(self) -> Path:
        return next(self._paths)
