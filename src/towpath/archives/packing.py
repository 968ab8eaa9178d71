"""Files and folders of our own into an archive."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, cast

from towpath.errors import UnsupportedFormatError
from towpath.errors.redaction import shown
from towpath.media.content_types import type_of_name
from towpath.temporaries import telling_full

__all__ = ["Entry", "content_type_of_archive", "entries_below", "entries_of", "pack"]

_BUFFER = 1024 * 1024
Entry = tuple[Path, str]
"""A file or folder, and its name in the archive."""

_TARS: dict[str, str] = {
    ".tar": "w:",
    ".tar.gz": "w:gz",
    ".tgz": "w:gz",
    ".tar.bz2": "w:bz2",
    ".tar.xz": "w:xz",
}
_TYPES = {"w:": "application/x-tar", "w:gz": "application/gzip"}
_TYPES |= {"w:bz2": "application/x-bzip2", "w:xz": "application/x-xz"}
_DENSE: tuple[str, ...] = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif")
_DENSE += ("video/", "audio/", "application/zip", "application/gzip", "application/zstd")
_LOOSE = frozenset({"audio/wav"})


def content_type_of_archive(file_name: str) -> str:
    """Return the content type of the archive that *file_name* asks for.

    Raises:
        UnsupportedFormatError: no such archive is made here.
    """
    mode = _mode_of(file_name)
    return "application/zip" if mode == "zip" else _TYPES[mode]


def _mode_of(file_name: str) -> str:
    """Return `zip`, or how `tarfile` is told to write."""
    lower = file_name.lower()
    if lower.endswith(".zip"):
        return "zip"
    for suffix, mode in _TARS.items():
        if lower.endswith(suffix):
            return mode
    known = ", ".join((".zip", *_TARS))
    message = (
        f"Archives are not made as {shown(file_name, 60)!r}; end its name with one of {known}."
    )
    raise UnsupportedFormatError(message, kind="archive")


def entries_of(paths: Iterable[Path]) -> list[Entry]:
    """Return files under their names, and folders with all that lies below them.

    Raises:
        FileNotFoundError: a path is not there.
        ValueError: two of them have one name.
    """
    entries: list[Entry] = []
    for path in paths:
        if path.is_dir():
            name = path.resolve().name
            entries += [(path, f"{name}/"), *((p, f"{name}/{n}") for p, n in entries_below(path))]
        elif path.is_file():
            entries.append((path, path.name))
        else:
            message = f"there is no file {path}"
            raise FileNotFoundError(message)
    names = [name for _, name in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = f"two of the paths are named {twice!r}; an archive holds a name once"
        raise ValueError(message)
    return entries


def entries_below(folder: Path) -> list[Entry]:
    """Return what lies below *folder*, by name; links to files are followed, to folders not."""
    return sorted(_below(folder), key=lambda entry: entry[1].split("/"))


def _below(folder: Path) -> Iterator[Entry]:
    """Yield what lies below *folder*."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        for name in (*folders, *files):
            path = here / name
            if path.is_symlink() and not path.is_file():
                continue
            inside = path.relative_to(folder).as_posix()
            if path.is_dir():
                yield path, f"{inside}/"
            elif path.is_file():
                yield path, inside


def pack(entries: Iterable[Entry], target: Path, file_name: str) -> None:
    """Write *entries* to *target* as the archive that *file_name* asks for.

    What is dense already, such as pictures, is stored in a ZIP as it is.

    Raises:
        UnsupportedFormatError: no such archive is made here.
        TemporaryFullError: the disk has no room for it.
    """
    mode = _mode_of(file_name)
    with telling_full():
        if mode == "zip":
            _zip(entries, target)
        else:
            _tar(entries, target, mode)


def _tar(entries: Iterable[Entry], target: Path, mode: str) -> None:
    """Write a tar."""
    kind = cast("Literal['w:gz']", mode)
    with tarfile.open(target, kind, dereference=True) as archive:
        for path, name in entries:
            archive.add(path, name.rstrip("/"), recursive=False, filter=_anonymous)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who owned a file."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _zip(entries: Iterable[Entry], target: Path) -> None:
    """Write a ZIP."""
    with zipfile.ZipFile(target, "w") as archive:
        for path, name in entries:
            info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            if info.is_dir():
                archive.writestr(info, b"")
                continue
            dense = _is_dense(name)
            info.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(info, "w") as member:
                shutil.copyfileobj(source, member, _BUFFER)


def _is_dense(name: str) -> bool:
    """Return whether compression would bring nothing."""
    kind = type_of_name(name) or ""
    return kind not in _LOOSE and kind.startswith(_DENSE)
