"""7z by py7zr, which the `archives` extra brings; its decoder writes to where we count."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, Literal

import py7zr
from py7zr import archiveinfo
from py7zr.exceptions import ArchiveError, PasswordRequired
from py7zr.io import Py7zIO, WriterFactory
from typing_extensions import override

from towpath.archives.members import Budget, Member
from towpath.archives.seven_zip_steps import decode_in_steps
from towpath.errors import BrokenArchiveError, TowpathError, UnsafeArchiveError
from towpath.errors.redaction import shown
from towpath.temporaries import telling_full

__all__ = ["SevenZipArchive"]

_BUFFER = 256 * 1024
_MOST_MEMORY = 256 * 2**20
_LZMA, _LZMA2 = b"\x03\x01\x01", b"\x21"
_PPMD = b"\x03\x04\x01"
_UNLIMITED = frozenset((b"\x04\x01\x08", b"\x04\x01\x09", b"\x04\xf7\x11\x01"))
"""Deflate, deflate64 and Zstandard: py7zr lets them make of a header whatever they can."""
_ENCRYPTED = "it is encrypted; send the archive without a password"
_SIGNATURE = 32
_PACKED = b"\x17"
_FILES_FREE = 65_536
_limits_lock = threading.Lock()
_BROKEN = "This is not a whole 7z archive"


class SevenZipArchive:
    """An open 7z. Its files are decoded in one go, at the first that is asked for.

    Args:
        stream: the archive, seekable.
        budget: what it may ask for.
        url: for messages.

    Raises:
        BrokenArchiveError: it is not a whole 7z.
        UnsafeArchiveError: it has too many members, or needs too much memory.
    """

    def __init__(self, stream: BinaryIO, budget: Budget, *, url: str | None = None) -> None:
        self._url = url
        self._stream = stream
        self._budget = budget
        self._spool: _Spool | None = None
        self._check_header(budget)
        with self._judging(), _opened(stream, budget) as archive:
            self._check_coders(_folders_of(archive))
            files = list(archive.files)
            problem = _ENCRYPTED if archive.needs_password() else ""
        if len(files) > budget.entries:
            reason = f"it has {len(files)} members, and the limit is {budget.entries}"
            raise UnsafeArchiveError(reason, url=url)
        self.members: Sequence[Member] = [
            Member(file.filename, _kind(file), _size(file), number, problem)
            for number, file in enumerate(files)
        ]

    def pieces(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a file."""
        spool = self._spool or self._decoded()
        with self._judging():
            yield from spool.pieces(member.name)

    def close(self) -> None:
        """Let go of what was decoded."""
        if self._spool is not None:
            self._spool.close()

    def _decoded(self) -> "_Spool":
        """Decode all files into one that has no name."""
        self._spool = _Spool({member.name: member.size for member in self.members}, self._url)
        with self._judging(), telling_full():
            self._stream.seek(0)
            with _opened(self._stream, self._budget) as archive:
                decode_in_steps(_folders_of(archive))
                archive.extractall(factory=self._spool)
        return self._spool

    def _check_header(self, budget: Budget) -> None:
        """Refuse a header that is too large, or packed by what is not read (7zFormat.txt)."""
        head = self._stream.read(_SIGNATURE)
        start, size = int.from_bytes(head[12:20], "little"), int.from_bytes(head[20:28], "little")
        if size > budget.header_bytes:
            reason = f"its header has {size} bytes, and the limit is {budget.header_bytes}"
            raise UnsafeArchiveError(reason, url=self._url)
        with self._judging():
            self._stream.seek(_SIGNATURE + start)
            header = self._stream.read(size)
            self._stream.seek(0)
            if header[:1] == _PACKED:
                streams = archiveinfo.HeaderStreamsInfo.retrieve(io.BytesIO(header[1:]))
                self._check_coders(streams.unpackinfo.folders)
                coders = (coder for folder in streams.unpackinfo.folders for coder in folder.coders)
                if any(coder.get("method") in _UNLIMITED for coder in coders):
                    reason = "its header is not packed by LZMA; pack it again"
                    raise UnsafeArchiveError(reason, url=self._url)

    def _check_coders(self, folders: Sequence[Any]) -> None:
        """Refuse what needs more memory than any honest archive, and PPMd.

        The decoder of PPMd that py7zr uses reads and writes anywhere when its data are damaged.
        """
        for coder in (coder for folder in folders for coder in folder.coders):
            need = _memory_of(coder)
            if coder.get("method") == _PPMD:
                reason = "its compression method PPMd is not read; use LZMA2"
                raise UnsafeArchiveError(reason, url=self._url)
            if need > _MOST_MEMORY:
                reason = f"it needs {need} bytes of memory; the limit is {_MOST_MEMORY}"
                raise UnsafeArchiveError(reason, url=self._url)

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Turn what py7zr and its codecs raise, which is of every kind, into our errors."""
        try:
            yield
        except TowpathError:
            raise
        except UnicodeDecodeError as error:
            reason = "The 7z archive has a name that is not valid UTF-16; pack it again."
            raise BrokenArchiveError(reason, url=self._url) from error
        except PasswordRequired as error:
            raise UnsafeArchiveError(_ENCRYPTED, url=self._url) from error
        except ArchiveError as error:
            reason = f"{_BROKEN}: {shown(str(error))}. Pack it again."
            raise BrokenArchiveError(reason, url=self._url) from error
        except Exception as error:
            reason = f"{_BROKEN}; pack it again."
            raise BrokenArchiveError(reason, url=self._url) from error


@contextmanager
def _opened(stream: BinaryIO, budget: Budget) -> Iterator[py7zr.SevenZipFile]:
    """Open a 7z whose header is bounded by the budget.

    py7zr allows 256 MiB and 2^23 files of 200 bytes each. Its limits are constants of a module;
    they are put back at once.
    """
    with _limits_lock:
        before = archiveinfo.MAX_HEADER_SIZE, archiveinfo.MAX_NUMFILES
        archiveinfo.MAX_HEADER_SIZE = budget.header_bytes
        archiveinfo.MAX_NUMFILES = max(_FILES_FREE, 2 * budget.entries)
        try:
            archive = py7zr.SevenZipFile(stream, "r")
        finally:
            archiveinfo.MAX_HEADER_SIZE, archiveinfo.MAX_NUMFILES = before
    with archive:
        yield archive


def _folders_of(archive: py7zr.SevenZipFile) -> Sequence[Any]:
    """Return the folders of an archive: what its files are packed in."""
    streams = archive.header.main_streams
    return streams.unpackinfo.folders if streams is not None else []


def _kind(file: Any) -> Literal["file", "folder", "other"]:  # noqa: ANN401 - py7zr's
    """Return what a member is."""
    if file.is_symlink or file.is_junction or file.is_socket:
        return "other"
    return "folder" if file.is_directory else "file"


def _size(file: Any) -> int:  # noqa: ANN401 - py7zr's
    """Return the declared bytes of a member."""
    size = file.uncompressed
    return int(size[-1] if isinstance(size, list | tuple) else size or 0)


def _memory_of(coder: Any) -> int:  # noqa: ANN401 - py7zr's
    """Return the bytes that a coder's dictionary takes (7zFormat.txt)."""
    method, properties = coder.get("method"), coder.get("properties") or b""
    if method == _LZMA and len(properties) >= 5:  # noqa: PLR2004
        return int.from_bytes(properties[1:5], "little")
    if method == _LZMA2 and properties:
        bits = properties[0]
        return (2 | (bits & 1)) << (bits // 2 + 11)
    return 0


def _plain(name: str) -> str:
    """Return a name as py7zr hands it to its writers."""
    return PurePosixPath(name).as_posix()


class _Spool(WriterFactory):
    """Collects decoded files one behind the other."""

    def __init__(self, sizes: dict[str, int], url: str | None) -> None:
        self._sizes = {_plain(name): size for name, size in sizes.items()}
        self._url = url
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self._places: dict[str, list[tuple[int, int]]] = {}

    @override
    def create(self, filename: str) -> Py7zIO:
        """Return what py7zr writes the file *filename* to."""
        name = _plain(filename)
        places = self._places.setdefault(name, [])
        return _Writer(self, places, self._sizes.get(name, 0), name)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def append(self, data: bytes) -> tuple[int, int]:
        """Write *data*; return where it lies."""
        start = self._file.seek(0, io.SEEK_END)
        self._file.write(data)
        return start, len(data)

    def refuse(self, name: str, size: int) -> None:
        """Raise the error of a member that lies about its size."""
        reason = f"it holds more than the {size} bytes that it declares"
        raise UnsafeArchiveError(reason, member=name, url=self._url)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield what was written for the file *name*."""
        for start, size in self._places.get(_plain(name), ()):
            at = start
            while at < start + size:
                self._file.seek(at)
                piece = self._file.read(min(_BUFFER, start + size - at))
                at += len(piece)
                yield piece


class _Writer(Py7zIO):
    """One file that py7zr decodes."""

    def __init__(self, spool: _Spool, places: list[tuple[int, int]], most: int, name: str) -> None:
        self._spool, self._places, self._most, self._name = spool, places, most, name
        self._size = 0

    @override
    def write(self, s: bytes | bytearray) -> int:
        """Take decoded bytes."""
        self._size += len(s)
        if self._size > self._most:
            self._spool.refuse(self._name, self._most)
        self._places.append(self._spool.append(bytes(s)))
        return len(s)

    @override
    def read(self, size: int | None = None) -> bytes:
        """Return nothing: it is only written to."""
        return b""

    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay where it is: bytes come in order."""
        del whence
        return offset

    @override
    def flush(self) -> None:
        """Do nothing: what came is written."""

    @override
    def size(self) -> int:
        """Return how many bytes came."""
        return self._size
