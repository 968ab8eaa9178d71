"""What a save asks of the kernel, and in which order: so that a power cut loses nothing.

By strace: what was synced before a name pointed to it, and what was synced before the save
returned. And by the disk itself, as it is at the moment when the save has returned.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.stores import folder_store

from towpath.storage.records import StoredFile
from towpath.storage.staging import NewFile

pytestmark = [pytest.mark.engines, pytest.mark.timeout(120)]
CALLS = (
    *("write", "fsync", "fdatasync", "rename", "renameat", "renameat2", "mkdir", "mkdirat"),
    "fsetxattr",
)
SAVE = """
import io, os, sys
from pathlib import Path
from towpath.storage.disk import Disk
from towpath.storage.file_store import FileStore
from towpath.storage.local import LocalStore
from towpath.storage.staging import NewFile
root, kind = Path(sys.argv[1]), sys.argv[2]
if sys.argv[4] == "no labels":
    del os.setxattr
store = FileStore(LocalStore(root, reserve=0, disk=Disk(sys.argv[3] == "power")))
store.save(NewFile(b"first", "a", "text/plain"))
given = root.parent / "given"
given.write_bytes(b"x" * 300_000)
data = {"bytes": b"x" * 300_000, "path": given, "move": given}.get(kind) or io.BytesIO(b"x" * 99)
os.write(1, b"BEGIN\\n")
record = store.save(NewFile(data, "a", "text/plain", move=kind == "move"))
os.write(1, f"SAVED {record.id}\\n".encode())
"""


@dataclass(frozen=True)
class Call:
    """One system call: its name, its text, the lines at which it began and ended."""

    name: str
    text: str
    began: int
    ended: int


def calls_of(log: str) -> list[Call]:
    """Read strace's log; calls of several threads are interleaved in it."""
    calls, begun = [], {}
    for number, line in enumerate(log.splitlines()):
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith("<unfinished ...>"):
            begun[thread] = (number, text.removesuffix("<unfinished ...>").rstrip())
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        start, text = (
            (begun[thread][0], begun[thread][1] + resumed[1]) if resumed else (number, text)
        )
        if named := re.match(r"(\w+)\(", text):
            calls.append(Call(named[1], text, start, number))
    return calls


@pytest.fixture
def traced(tmp_path: Path):
    strace = shutil.which("strace")
    assert strace, "Debian has it: apt-get install strace"

    def trace(
        kind: str, durability: str = "power", labels: str = "labels"
    ) -> tuple[list[Call], str]:
        log = tmp_path / "log"
        done = subprocess.run(
            [
                *(strace, "-f", "-y", "-s", "60", "-o", str(log)),
                *("-e", f"trace={','.join(CALLS)}"),
                *(sys.executable, "-c", SAVE, str(tmp_path / "store"), kind, durability, labels),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        file_id = done.stdout.split()[-1]
        calls = calls_of(log.read_text())
        begin = next(call.ended for call in calls if 'BEGIN\\n"' in call.text)
        end = next(call.began for call in calls if '"SAVED' in call.text)
        return [call for call in calls if begin < call.began and call.ended < end], file_id

    return trace


def is_sync(call: Call, path: str) -> bool:
    done = rf"<{re.escape(path)}>\) += 0"
    return call.name in {"fsync", "fdatasync"} and re.search(done, call.text) is not None


def source_of(rename: Call) -> str:
    return re.search(r'"([^"]+)"', rename.text)[1]


def check_synced(calls: list[Call], rename: Call, store: str, target: str) -> None:
    """Check that a file was durable before it got its name, and its name after that."""
    synced = [call for call in calls if is_sync(call, source_of(rename))]
    assert synced, f"{source_of(rename)} was synced"
    assert min(call.ended for call in synced) < rename.began
    made = {
        re.search(r'"([^"]+)"', call.text)[1] for call in calls if call.name.startswith("mkdir")
    }
    folder = f"{store}/{target}"
    for path in (folder, str(Path(folder).parent)) if folder in made else (folder,):
        synced = [call for call in calls if is_sync(call, path)]
        assert synced, f"{path} was synced"
        assert max(call.began for call in synced) > rename.ended, "with the name in it"


def renames_of(calls: list[Call], name: str) -> list[Call]:
    """Return those that succeeded; the first may find no folder."""
    moved = [call for call in calls if call.name.startswith("rename") and "= 0" in call.text]
    return [call for call in moved if f'/{name}"' in call.text]


@pytest.mark.parametrize("labels", ["labels", "no labels"])
@pytest.mark.parametrize("kind", ["bytes", "path", "move", "stream"])
def test_nothing_has_a_name_before_it_is_on_the_disk(
    traced, tmp_path: Path, kind: str, labels: str
) -> None:
    calls, file_id = traced(kind, labels=labels)
    store, two = str(tmp_path / "store"), file_id[:2]
    (blob,) = renames_of(calls, f"o/{two}/{file_id}")
    check_synced(calls, blob, store, f"o/{two}")
    if labels == "labels" and kind != "move":
        (label,) = (call for call in calls if call.name == "fsetxattr")
        assert f"<{source_of(blob)}>" in label.text
        assert file_id in label.text
        synced = [call for call in calls if is_sync(call, source_of(blob))]
        assert label.ended < min(call.began for call in synced), "what is known is durable too"
    else:
        (sidecar,) = renames_of(calls, f"m/{two}/{file_id}.json")
        check_synced(calls, sidecar, store, f"m/{two}")
        assert sidecar.ended < blob.began, "the blob is the commit"


@pytest.mark.parametrize("labels", ["labels", "no labels"])
def test_without_durability_nobody_waits_for_the_disk(traced, labels: str) -> None:
    calls, _ = traced("bytes", "process", labels)
    assert [call for call in calls if call.name in {"fsync", "fdatasync"}] == []
    moved = [call for call in calls if call.name.startswith("rename")]
    files = 1 if labels == "labels" else 2
    assert len([call for call in moved if call.text.endswith("= 0")]) == files


@contextmanager
def mounted(image: Path, folder: Path, options: str = "loop") -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-o", options, str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def formatted(image: Path, system: str) -> Path:
    with image.open("wb") as file:
        file.truncate(400 << 20)
    make = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q"]}[system]
    subprocess.run([*make, str(image)], check=True)
    return image


@pytest.mark.parametrize("system", ["ext4", "xfs"])
@pytest.mark.parametrize("labels", ["labels", "no labels"])
def test_a_disk_that_is_cut_off_after_a_save_has_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, labels: str
) -> None:
    """The image is copied while its file system is mounted: what it had not written is missing."""
    if labels == "no labels":
        monkeypatch.delattr(os, "setxattr")
    image, cut = formatted(tmp_path / "image", system), tmp_path / "cut"
    data = {f"{size}": os.urandom(size) for size in (0, 10, 3_000_000)}
    with mounted(image, tmp_path / "here") as here:
        store = folder_store(here / "store")
        store.lay_out()
        os.sync()
        saved = [
            store.save(NewFile(content, name, "text/plain", lifetime=900))
            for name, content in data.items()
        ]
        subprocess.run(["cp", "--sparse=always", str(image), str(cut)], check=True)
        store.close()
    options = "loop,nouuid" if system == "xfs" else "loop"
    with mounted(cut, tmp_path / "there", options) as there:
        check_recovered(there / "store", saved, data)


def check_recovered(root: Path, saved: list[StoredFile], data: dict[str, bytes]) -> None:
    for path in root.glob("index.db*"):
        path.unlink()
    store = folder_store(root)
    store.recover()
    for record in saved:
        assert store.find(record.id) == record
        with store.open(record) as stream:
            assert stream.read() == data[record.name]
    assert store.totals()[0] == len(saved)
    store.close()
