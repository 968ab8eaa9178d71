"""A store that two processes use at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.stores import folder_store

from towpath.storage.file_store import FileStore
from towpath.storage.staging import NewFile


@pytest.fixture
def store(tmp_path: Path):
    own = folder_store(tmp_path / "store", clock=lambda: 1_000_000.0)
    yield own
    own.close()


SAVE_AND_READ = """
import sys
from contextlib import closing
from pathlib import Path
from tests.support.stores import folder_store
from towpath.storage.staging import NewFile

with closing(folder_store(Path(sys.argv[1]), clock=lambda: 1_000_000.0)) as store:
    with store.open(store.find(sys.argv[2])) as stream:
        content = stream.read()
    print(store.save(NewFile(content + b" there", "a", "text/plain")).id)
"""


def test_two_processes_may_share_a_store(store: FileStore, tmp_path: Path) -> None:
    record = store.save(NewFile(b"from here", "a", "text/plain"))
    done = subprocess.run(
        [sys.executable, "-c", SAVE_AND_READ, str(tmp_path / "store"), record.id],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    with store.open(store.find(done.stdout.strip())) as stream:
        assert stream.read() == b"from here there"
