"""Trust T55: a full disk is told as such wherever a file is saved, encoded or unpacked."""

import errno
import gzip
import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import py7zr
import pytest

from towpath import settings as settings_room
from towpath.archives import archive as archive_room
from towpath.archives import packing, seven_zip, tarred
from towpath.codecs import clips, decoder
from towpath.errors import TemporaryFullError, UploadRefusedError
from towpath.storage.hosting import hosting_of, using_hosting
from towpath.toolkit import Audio, CompressedFile, File, FileInput, Image, Video
from towpath.web.errors import problem_of

pytestmark = pytest.mark.usefixtures("hosting")

Patch = Callable[[pytest.MonkeyPatch], None]


def full_file(*_: object, **__: object) -> io.FileIO:
    """Open what takes nothing: every write is answered with ENOSPC (full(4))."""
    return io.FileIO("/dev/full", "w")


open_path = Path.open


def full_when_new(path: Path, mode: str = "r", **options: object) -> object:
    """Open what takes nothing where a file is made."""
    return full_file() if "x" in mode else open_path(path, mode, **options)


def no_folder(*_: object, **__: object) -> str:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_clip(*_: object) -> None:
    av.error.err_check(-errno.ENOSPC)


def held(data: bytes) -> CompressedFile:
    return CompressedFile(url="data:,x").holding(data)


def a_zip() -> CompressedFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a", b"x")
    return held(buffer.getvalue())


def a_tar_gz() -> CompressedFile:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        packed.addfile(tarfile.TarInfo("a"))
    return held(gzip.compress(buffer.getvalue()))


def a_7z() -> CompressedFile:
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as packed:
        packed.writestr(b"x", "a")
    return held(buffer.getvalue())


def a_clip() -> Video:
    return Video.from_frames([np.zeros((16, 16, 3), np.uint8)], 10)


CASES: dict[str, tuple[object, str, object, Callable[[], object]]] = {
    "a folder": (tempfile, "mkdtemp", no_folder, lambda: File(url="data:,x").to_path()),
    "an input": (tempfile, "mkdtemp", no_folder, lambda: FileInput("data:,x").to_path()),
    "unpacking": (Path, "open", full_when_new, lambda: list(a_zip())),
    "a member": (archive_room, "TemporaryFile", full_file, lambda: a_zip().open_member("a")),
    "a tar.gz": (tarred, "TemporaryFile", full_file, lambda: a_tar_gz().names()),
    "a 7z": (seven_zip, "TemporaryFile", full_file, lambda: a_7z().open_member("a")),
    "sound": (
        decoder.tempfile,
        "TemporaryFile",
        full_file,
        lambda: Audio(url="data:,x").holding(b"RIFF    WAVEfmt ").to_array(),
    ),
    "a clip": (clips._Writer, "write", no_clip, a_clip),
}


@pytest.mark.parametrize(("place", "name", "answer", "use"), CASES.values(), ids=list(CASES))
def test_it_is_a_507_and_no_broken_file(place, name, answer, use, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place, name, answer)
        with pytest.raises(TemporaryFullError, match="bytes are free") as caught:
            use()
    problem = problem_of(caught.value)
    assert problem.status == 507
    assert problem.headers["X-Fal-Error-Type"] == "internal_error"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_so_it_is_for_archives_that_are_made(name: str) -> None:
    with pytest.raises(TemporaryFullError):
        packing.pack([(Path(__file__), "a")], Path("/dev/full"), name)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image.from_array(np.zeros((8, 8, 3), np.uint8)),
        lambda: File.from_bytes(b"x"),
        lambda: File.from_stream(iter([b"x"])),
        lambda: Audio.from_array(np.zeros(9), 8000),
    ],
    ids=["image", "bytes", "stream", "sound"],
)
def test_a_store_without_room_is_a_507_for_who_calls_the_endpoint(make, data_dir: Path) -> None:
    """Trust T55: 500, and the caller could not know why."""
    own = settings_room.load(data_dir=data_dir, store_reserve="1000000TB")
    full = hosting_of(own)
    with (
        settings_room.using(own),
        using_hosting(full),
        pytest.raises(UploadRefusedError) as caught,
    ):
        make()
    full.store.close()
    assert problem_of(caught.value).status == 507


@pytest.mark.parametrize(("status", "answer"), [(413, 500), (409, 500), (400, 500), (507, 507)])
def test_only_a_full_disk_is_passed_on(status: int, answer: int) -> None:
    assert problem_of(UploadRefusedError("no", status=status)).status == answer
