"""Trust T15: every temporary has an owner, and the owner removes it."""

import gc
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path
from shutil import rmtree

import pytest

from towpath.context import ProcessPlaces, set_places
from towpath.temporaries import Keeper, Temporary, keeping, kept_temporary, lasting_temporary


@pytest.fixture(autouse=True)
def base(tmp_path: Path) -> Iterator[Path]:
    """Return the folder that stands for /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    set_places(ProcessPlaces(temp=folder))
    yield folder
    set_places(ProcessPlaces())


def test_a_temporary_is_private_and_has_a_name_that_nobody_knows(base: Path) -> None:
    """Trust T15: a fixed shared name lets another user make it first."""
    first, second = Temporary(), Temporary()
    assert first.path.parent == second.path.parent
    assert first.path.parent.parent == base
    assert first.path.name != second.path.name
    for folder in (first.path, first.path.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(folder.name.rpartition("-")[2]) >= 8


@pytest.mark.parametrize("make", [Temporary, kept_temporary])
def test_outside_of_a_request_it_goes_with_what_holds_it(make) -> None:
    temporary = make()
    path = temporary.path
    (path / "a").write_bytes(b"x")
    gc.collect()
    assert path.exists()
    del temporary
    gc.collect()
    assert not path.exists()


def test_in_a_request_it_goes_with_the_request() -> None:
    with Keeper() as keeper, keeping(keeper):
        kept = kept_temporary().path
        gc.collect()
        assert kept.exists()
        held = Temporary()
        collected = Temporary().path
        gc.collect()
        assert not collected.exists()
        assert held.is_there
    assert not kept.exists()
    assert not held.is_there


def test_a_thread_that_outlives_its_request_owns_what_it_makes() -> None:
    found: list[bool] = []
    go_on = threading.Event()

    def work() -> None:
        go_on.wait()
        mine = kept_temporary()
        mine.path.joinpath("a").touch()
        found.append(mine.is_there)
        found.append(mine.path.exists())
        paths.append(mine.path)

    paths: list[Path] = []
    with Keeper() as keeper, keeping(keeper):
        thread = threading.Thread(target=copy_context().run, args=(work,))
        thread.start()
    go_on.set()
    thread.join()
    gc.collect()
    assert found == [True, True]
    assert not paths[0].exists()


def test_what_a_late_thread_makes_again_is_removed_too() -> None:
    with Keeper() as keeper, keeping(keeper):
        temporary = kept_temporary()
        path = temporary.path
    path.mkdir(parents=True)
    del temporary
    gc.collect()
    assert not path.exists()


def test_threads_that_make_and_close_them_leave_no_descriptor(base: Path) -> None:
    """Trust T15: a thread forgot the folder, and the lock, that another one had just made."""

    def work() -> None:
        for _ in range(200):
            with Temporary() as folder:
                (folder / "a").touch()

    before = len(list(Path("/proc/self/fd").iterdir()))
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert list(base.iterdir()) == []


def test_a_request_remembers_no_more_than_what_is_there() -> None:
    """Trust T15: a websocket that looks into a file with each message lives for days."""
    with Keeper() as keeper, keeping(keeper):
        for _ in range(20):
            with Temporary():
                assert not keeper.is_empty
        gc.collect()
        assert keeper.is_empty


def test_closing_twice_and_an_emptied_tmp_are_no_errors(base: Path) -> None:
    with Temporary() as path:
        assert path.is_dir()
    temporary = Temporary()
    temporary.close()
    temporary.close()
    assert list(base.iterdir()) == [], "the process's folder goes with its last temporary"
    with Temporary() as first:
        rmtree(first.parent)
        with Temporary() as again:
            assert again.is_dir()
    assert list(base.iterdir()) == []


# --- processes -----------------------------------------------------------------------------------

SCRIPT = """
import os, sys, time
from pathlib import Path
from towpath.context import ProcessPlaces, set_places
from towpath.temporaries import Temporary, lasting_temporary
set_places(ProcessPlaces(temp=Path(sys.argv[1])))
first, last = Temporary(), lasting_temporary()
(first.path / "a").write_bytes(b"x")
(last / "a").write_bytes(b"x")
"""


def run(base: Path, code: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT + code, str(base)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ready(base: Path, code: str = "") -> subprocess.Popen[str]:
    """Return a process that has made its temporaries and stays."""
    process = run(base, code + "\nprint('ready', flush=True)\ntime.sleep(600)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_process_leaves_nothing(base: Path) -> None:
    process = run(base)
    process.communicate()
    assert process.returncode == 0
    assert list(base.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(base: Path) -> None:
    """Trust T15: 41 kills left 36 folders and 636 MB."""
    processes = [ready(base) for _ in range(2)]
    os.kill(processes[0].pid, signal.SIGKILL)
    processes[0].communicate()
    assert len(list(base.iterdir())) == 2
    mine = lasting_temporary()
    left = list(base.iterdir())
    assert len(left) == 2
    assert mine.parent in left
    [other] = set(left) - {mine.parent}
    assert len(list(other.iterdir())) == 2, "a living process keeps its own"
    end(processes[1])


def test_a_stopped_and_a_forked_owner_are_alive(base: Path) -> None:
    code = "\nif os.fork() == 0: sys.exit()\nos.wait()"
    process = ready(base, code)
    os.kill(process.pid, signal.SIGSTOP)
    lasting_temporary()
    [other] = [path for path in base.iterdir() if len(list(path.iterdir())) == 2]
    assert sorted(len(list(path.iterdir())) for path in other.iterdir()) == [1, 1]
    end(process)


def test_a_forked_child_has_a_folder_of_its_own(base: Path) -> None:
    process = run(base, "\nif os.fork() == 0: print(Temporary().path.parent)\nelse: os.wait()")
    printed, _ = process.communicate()
    assert Path(printed.strip()).parent == base
    assert list(base.iterdir()) == []


def plant_link(base: Path, elsewhere: Path) -> None:
    (base / "towpath-temp-planted").symlink_to(elsewhere)


def plant_file(base: Path, elsewhere: Path) -> None:
    (base / "towpath-temp-planted").write_text(str(elsewhere))


def plant_new(base: Path, elsewhere: Path) -> None:
    del elsewhere
    (base / "towpath-new-planted").mkdir()


@pytest.mark.parametrize("plant", [plant_link, plant_file, plant_new])
def test_the_sweep_removes_no_more_than_folders_of_dead_processes(
    plant, base: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    plant(base, elsewhere)
    lasting_temporary()
    assert (elsewhere / "file").exists()
    assert [path.name.endswith("planted") for path in base.iterdir()].count(True) == 1


def test_a_process_that_was_killed_before_its_lock_is_swept_after_an_hour(base: Path) -> None:
    folder = base / "towpath-new-planted"
    folder.mkdir()
    os.utime(folder, (0, time.time() - 3601))
    lasting_temporary()
    assert not folder.exists()


def test_what_is_mounted_below_an_unlocked_folder_is_never_swept(tmp_path: Path) -> None:
    """In a runner's own /tmp, the data folder of a server below /tmp is a mount of that kind."""
    data, base = tmp_path / "data", tmp_path / "base"
    inner = base / "towpath-temp-abcdefgh" / "in side"
    for folder in (data, inner, base / "towpath-temp-stuvwxyz"):
        folder.mkdir(parents=True)
    (data / "kept").write_text("x")
    code = f"""
import subprocess
from pathlib import Path
from towpath.context import ProcessPlaces, set_places
from towpath.temporaries import Temporary
subprocess.run(["mount", "--bind", {str(data)!r}, {str(inner)!r}], check=True)
set_places(ProcessPlaces(temp=Path({str(base)!r})))
Temporary()
"""
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "-r", "--mount"]
    subprocess.run([*own, sys.executable, "-c", code], check=True, timeout=60)
    assert (data / "kept").read_text() == "x"
    assert not (base / "towpath-temp-stuvwxyz").exists(), "what nobody holds is swept"
