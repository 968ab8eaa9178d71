"""Trust T15: what files bring to the disk goes with the request, else with the object."""

import gc
import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.codecs.test_sounds import tone
from tests.support.folders import files_below
from tests.support.origin import Origin

from towpath.codecs.sounds import encode_sound
from towpath.context import ProcessPlaces, set_places
from towpath.errors import DownloadError, FileTooLargeError
from towpath.files.constraints import AudioConstraints
from towpath.media.data_uri import write
from towpath.temporaries import Keeper, keeping
from towpath.toolkit import Audio, AudioInput, CompressedFile, File, FileInput, Video, VideoInput

pytestmark = pytest.mark.usefixtures("hosting")

SOUND = encode_sound(tone(800), 8000, "wav")


@pytest.fixture(autouse=True)
def base(tmp_path: Path) -> Iterator[Path]:
    """Return the folder that stands for /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    set_places(ProcessPlaces(temp=folder))
    yield folder
    set_places(ProcessPlaces())


def archive(origin: Origin) -> CompressedFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("a.txt", b"1")
    return CompressedFile(url=origin.put("/a.zip", buffer.getvalue()))


def clip() -> Video:
    return Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 3, 10)


def checked(origin: Origin) -> object:
    sound = AudioInput(origin.put("/a.wav", SOUND))
    AudioConstraints(max_duration=1).check_facts(sound.probe(), "sound")
    return sound


USES: dict[str, Callable[[Origin], object]] = {
    "to_path": lambda o: File(url=o.put("/a.wav", SOUND)).to_path(),
    "to_path of an input": lambda o: FileInput(o.put("/a.wav", SOUND)).to_path(),
    "to_path of inline data": lambda _: File(url=write(SOUND, "audio/wav")).to_path(),
    "to_path of a file of our own": lambda _: File(url=File.from_bytes(SOUND).url).to_path(),
    "a path as text": lambda o: str(File(url=o.put("/a.wav", SOUND)).to_path()),
    "open": lambda o: File(url=o.put("/a.wav", SOUND)).open().close(),
    "probe": lambda o: Audio(url=o.put("/a.wav", SOUND)).probe(),
    "constraints": checked,
    "samples": lambda o: AudioInput(o.put("/a.wav", SOUND)).to_array(),
    "frames": lambda _: list(VideoInput(clip().url).frames()),
    "frames that are taken later": lambda _: next(VideoInput(clip().url).frames()),
    "poster": lambda _: VideoInput(clip().url).poster(),
    "from_frames": lambda _: clip(),
    "unpacked": lambda o: list(archive(o)),
    "names": lambda o: archive(o).names(),
    "a member": lambda o: archive(o).open_member("a.txt").close(),
    "packed": lambda o: CompressedFile.from_paths([Path(__file__)]),
}


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_nothing_is_left_after_the_request(use, origin: Origin, base: Path) -> None:
    """Trust T15: ten calls left ten files for the life of the runner."""
    with Keeper() as keeper, keeping(keeper):
        result = use(origin)
    assert files_below(base) == []
    del result


@pytest.mark.parametrize("use", USES.values(), ids=list(USES))
def test_without_a_request_nothing_is_left_after_the_object(
    use, origin: Origin, base: Path
) -> None:
    """Trust T15: in scripts and notebooks too."""
    result = use(origin)
    del result
    gc.collect()
    assert files_below(base) == []


@pytest.mark.parametrize("name", ["to_path", "to_path of an input", "to_path of inline data"])
def test_what_is_fetched_lies_in_a_private_folder(name: str, origin: Origin, base: Path) -> None:
    """Trust T15: outside of runners it was a shared folder, and a planted link was followed."""
    elsewhere = base.parent / "elsewhere"
    elsewhere.mkdir()
    (base / "towpath-inputs").symlink_to(elsewhere)
    path = USES[name](origin)
    assert isinstance(path, Path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(elsewhere.iterdir()) == []


def test_in_a_request_a_path_stays_until_its_end(origin: Origin) -> None:
    with Keeper() as keeper, keeping(keeper):
        text = str(File(url=origin.put("/a.wav", SOUND)).to_path())
        gc.collect()
        assert Path(text).read_bytes() == SOUND
    assert not Path(text).exists()


@pytest.mark.parametrize("keep", ["file", "path"])
def test_without_a_request_a_path_stays_while_it_or_its_file_is_held(
    keep: str, origin: Origin
) -> None:
    file = File(url=origin.put("/a.wav", SOUND))
    path = file.to_path()
    text = str(path)
    if keep == "file":
        del path
    else:
        del file
    gc.collect()
    assert Path(text).read_bytes() == SOUND


def test_a_file_of_an_earlier_request_is_fetched_again(origin: Origin) -> None:
    file, packed = File(url=origin.put("/a.wav", SOUND)), archive(origin)
    for _ in range(2):
        with Keeper() as keeper, keeping(keeper):
            assert file.to_path().read_bytes() == SOUND
            assert [path.read_bytes() for path in packed] == [b"1"]


@pytest.mark.parametrize("limit", [0, len(SOUND) - 1])
def test_what_is_refused_leaves_nothing(limit: int, origin: Origin, base: Path) -> None:
    file = File(url=origin.put("/a.wav", SOUND))
    with Keeper() as keeper, keeping(keeper), pytest.raises(FileTooLargeError):
        file._fetch(limit)
    with Keeper() as keeper, keeping(keeper):
        with pytest.raises(DownloadError):
            File(url=origin.url("/none")).to_path()
        assert [path for path in base.rglob("*") if path.parent.parent == base] == []


def test_a_forked_child_leaves_its_parents_archive(origin: Origin) -> None:
    packed = archive(origin)
    [path] = packed
    child = os.fork()
    if child == 0:
        packed.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.read_bytes() == b"1"
