"""What a save asks of the kernel, and in which order: so that a power cut loses nothing.

By strace: what was synced before a name pointed to it, and what was synced before the save
returned.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engines, pytest.mark.timeout(120)]
SAVE = """
import io, os, sys
from pathlib import Path
from towpath.storage.disk import Disk
from towpath.storage.file_store import FileStore
from towpath.storage.local import LocalStore
from towpath.storage.staging import NewFile
root, kind = Path(sys.argv[1]), sys.argv[2]
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

    def trace(kind: str, durability: str = "power") -> tuple[list[Call], str]:
        log = tmp_path / "log"
        done = subprocess.run(
            [
                *(strace, "-f", "-y", "-s", "60", "-o", str(log)),
                *("-e", "trace=write,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat"),
                *(sys.executable, "-c", SAVE, str(tmp_path / "store"), kind, durability),
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


@pytest.mark.parametrize("kind", ["bytes", "path", "move", "stream"])
def test_nothing_has_a_name_before_it_is_on_the_disk(traced, tmp_path: Path, kind: str) -> None:
    calls, file_id = traced(kind)
    store, two = str(tmp_path / "store"), file_id[:2]
    sidecar, blob = (
        next(call for call in calls if call.name.startswith("rename") and f'/{name}"' in call.text)
        for name in (f"m/{two}/{file_id}.json", f"o/{two}/{file_id}")
    )
    for rename in (sidecar, blob):
        source = re.search(r'"([^"]+)"', rename.text)[1]
        synced = [call for call in calls if is_sync(call, source)]
        assert synced, f"{source} was synced"
        assert min(call.ended for call in synced) < rename.began
    assert sidecar.ended < blob.began, "the blob is the commit"
    made = {
        re.search(r'"([^"]+)"', call.text)[1] for call in calls if call.name.startswith("mkdir")
    }
    for folder, rename in ((f"{store}/o/{two}", blob), (f"{store}/m/{two}", sidecar)):
        for path in (folder, str(Path(folder).parent)) if folder in made else (folder,):
            synced = [call for call in calls if is_sync(call, path)]
            assert synced, f"{path} was synced"
            assert max(call.began for call in synced) > rename.ended, "with the name in it"


def test_without_durability_nobody_waits_for_the_disk(traced) -> None:
    calls, _ = traced("bytes", "process")
    assert [call for call in calls if call.name in {"fsync", "fdatasync"}] == []
    moved = [call for call in calls if call.name.startswith("rename")]
    assert len([call for call in moved if call.text.endswith("= 0")]) == 2
