"""kill -9 at any moment: nothing that was acknowledged is lost or torn, and nothing is left over."""

import hashlib
import multiprocessing
import os
import random
import re
import tempfile
import threading
import time
from pathlib import Path

import pytest
from tests.support.stores import folder_store

from towpath.errors import ObjectExpiredError, ObjectNotFoundError
from towpath.storage.file_store import FileStore
from towpath.storage.staging import NewFile

WHOLE_LINE = re.compile(r"^([a-z2-7]{32}) ([0-9a-f]{64})$", re.MULTILINE)
"""What a killed process wrote down: its last line may be cut off between two pages of memory."""

CONTEXT = multiprocessing.get_context("forkserver")  # a process with threads is not to be forked
CONTEXT.set_forkserver_preload(["towpath.storage.file_store", "tests.support.stores"])


def killed(work, seconds: float, *arguments) -> None:
    """Do *work* in a process, and kill it so many seconds after it has begun."""
    with tempfile.TemporaryDirectory() as folder:
        begun = Path(folder) / "begun"
        process = CONTEXT.Process(target=begin, args=(begun, work, arguments))
        process.start()
        while not begun.exists():
            time.sleep(0.001)
        time.sleep(seconds)
        process.kill()
        process.join()
        process.close()


def begin(begun: Path, work, arguments: tuple) -> None:
    begun.touch()
    work(*arguments)


def content_of(number: int, size: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest() * (size // 32 + 1)


def save_without_end(root: Path, log: Path, start: int) -> None:
    """Save from four threads; write each id down once its save has returned."""
    store = folder_store(root)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def save(turn: int) -> None:
        for number in range(start + turn, start + 1_000_000, 4):
            data = content_of(number, random.choice((10, 5_000, 400_000)))
            given: bytes | Path = data
            if number % 3 == 0:
                given = root.parent / f"given-{os.getpid()}-{number}"
                given.write_bytes(data)
            record = store.save(NewFile(given, f"{number}", "text/plain", move=number % 2 == 0))
            os.write(said, f"{record.id} {record.sha256}\n".encode())

    for turn in range(4):
        threading.Thread(target=save, args=(turn,)).start()


def leftovers(store: FileStore) -> list[str]:
    """Return what lies in the store and belongs to no file."""
    found = [path.name for path in (store.blobs.root / "tmp").iterdir()]
    for listed in store.blobs.listed():
        found += listed.halves
    blobs = {path.name for path in (store.blobs.root / "o").rglob("*") if path.is_file()}
    sidecars = {path.stem for path in (store.blobs.root / "m").rglob("*.json")}
    return found + sorted(blobs - sidecars)


@pytest.mark.parametrize(
    "rounds", [12, pytest.param(300, marks=[pytest.mark.crash, pytest.mark.timeout(1200)])]
)
def test_a_save_that_returned_is_there(tmp_path: Path, rounds: int) -> None:
    root = tmp_path / "store"
    folder_store(root).close()
    acknowledged: dict[str, str] = {}
    for number in range(rounds):
        log = tmp_path / f"said-{number}"
        killed(save_without_end, random.uniform(0.02, 0.3), root, log, number * 1_000_000)
        said = log.read_text() if log.exists() else ""
        acknowledged |= dict(WHOLE_LINE.findall(said))
        if number % 10 == 9 or number == rounds - 1:
            check_all(root, acknowledged, forget_index=number % 20 == 19)
            acknowledged.clear()


def check_all(root: Path, acknowledged: dict[str, str], *, forget_index: bool) -> None:
    """Look at every file, then empty the store."""
    assert acknowledged, "saves were at work"
    for path in root.glob("index.db*") if forget_index else ():
        path.unlink()
    grow_old(root)
    store = folder_store(root)
    store.recover()
    for file_id, sha256 in acknowledged.items():
        assert digest(store, file_id) == sha256
    assert leftovers(store) == []
    while page := store.page(limit=1000).files:
        for file in page:
            assert digest(store, file.id) == file.sha256, "what was not acknowledged is whole too"
            store.remove(file.id)
    store.close()


def digest(store: FileStore, file_id: str) -> str:
    with store.open(store.find(file_id)) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def grow_old(root: Path) -> None:
    """Let what killed saves left be old enough to be swept."""
    old = time.time() - 7200
    for path in (*(root / "tmp").iterdir(), *(root / "m").rglob("*.json")):
        os.utime(path, (old, old))


def sweep(root: Path, now: float) -> None:
    folder_store(root, clock=lambda: now).sweep_expired()


@pytest.mark.parametrize(
    "rounds", [3, pytest.param(40, marks=[pytest.mark.crash, pytest.mark.timeout(900)])]
)
def test_a_sweeper_that_was_killed_is_taken_over(tmp_path: Path, rounds: int) -> None:
    for number in range(rounds):
        root = tmp_path / f"store{number}"
        store = folder_store(root, is_durable=False, clock=lambda: 1000.0)
        ended = [store.save(NewFile(b"x", "a", "text/plain", lifetime=10)) for _ in range(300)]
        kept = [store.save(NewFile(b"x", "a", "text/plain", lifetime=90)) for _ in range(20)]
        store.close()
        killed(sweep, random.uniform(0.0, 0.08), root, 1020.0)
        store = folder_store(root, clock=lambda: 1020.0)
        store.recover()
        store.sweep_expired()
        for file in ended:
            with pytest.raises(ObjectExpiredError):
                store.find(file.id)
            assert not store.blobs.blob(file.id).exists()
        assert {file.id for file in store.page().files} == {file.id for file in kept}
        assert store.totals() == (20, 20)
        store.close()


def change(root: Path, ids: list[str]) -> None:
    store = folder_store(root)
    for turn in range(100_000):
        store.set_life(ids[turn % len(ids)], 1000 + turn)


@pytest.mark.parametrize(
    "rounds", [5, pytest.param(100, marks=[pytest.mark.crash, pytest.mark.timeout(900)])]
)
def test_a_changed_life_is_the_old_or_the_new_one(tmp_path: Path, rounds: int) -> None:
    root = tmp_path / "store"
    store = folder_store(root)
    ids = [store.save(NewFile(b"x", "a", "text/plain", lifetime=900)).id for _ in range(3)]
    store.close()
    for _ in range(rounds):
        killed(change, random.uniform(0.01, 0.1), root, ids)
        for path in root.glob("index.db*"):
            path.unlink()
        store = folder_store(root)
        for file_id in ids:
            assert store.find(file_id).expires is not None
        store.close()


def remove(root: Path, ids: list[str]) -> None:
    store = folder_store(root)
    for file_id in ids:
        store.remove(file_id)


def test_what_was_being_removed_is_whole_or_gone(tmp_path: Path) -> None:
    for number in range(5):
        root = tmp_path / f"store{number}"
        store = folder_store(root, is_durable=False)
        ids = [store.save(NewFile(b"content", "a", "text/plain")).id for _ in range(200)]
        store.close()
        killed(remove, random.uniform(0.0, 0.05), root, ids)
        store = folder_store(root)
        grow_old(root)
        store.recover()
        for file_id in ids:
            try:
                with store.open(store.find(file_id)) as stream:
                    assert stream.read() == b"content"
            except ObjectNotFoundError:
                assert not store.blobs.blob(file_id).exists()
        assert leftovers(store) == []
        store.close()
