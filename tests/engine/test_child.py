"""A runner's process: what is left when it cannot even be started."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from towpath import settings as settings_room
from towpath.engine.child import Child, Wanted, describe
from towpath.engine.template import Templates


@pytest.fixture
def templates() -> Iterator[Templates]:
    found = Templates()
    yield found
    found.end()


def test_a_process_that_cannot_be_started_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, templates: Templates
) -> None:
    file = tmp_path / "one.py"
    file.write_text(
        "import towpath\n"
        "class One(towpath.App):\n"
        "    @towpath.endpoint('/')\n"
        "    def run(self) -> int:\n"
        "        return 1\n"
    )
    settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0)

    async def start() -> None:
        spec = (await describe(str(file), settings, templates))[0]
        wanted = Wanted(spec, "local", (), lambda _: None, lambda: None)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
        templates.end()
        before = len(list(Path("/dev/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(FileNotFoundError):
                await Child.start(wanted, settings, templates)
        assert len(list(Path("/dev/fd").iterdir())) == before

    asyncio.run(start())
    assert not list(Path(tempfile.gettempdir()).glob(f"towpath-{os.getpid()}-*"))


def test_apps_that_take_long_to_load_keep_no_thread_from_the_others(
    tmp_path: Path, templates: Templates
) -> None:
    """trust T45: reading what they say waits for as long as their code loads."""
    begun, slow = tmp_path / "begun", tmp_path / "slow.py"
    slow.write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)\n"
    )
    settings = settings_room.load(data_dir=tmp_path / "data", store_reserve=0)

    async def load() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        loading = asyncio.create_task(describe(str(slow), settings, templates))
        while not begun.exists():
            await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "here") == "here"
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)

    asyncio.run(load())


def test_a_note_of_a_failure_that_a_full_disk_has_cut_is_read_as_far_as_it_goes(
    tmp_path: Path,
) -> None:
    """trust T53"""
    (tmp_path / "7-1").mkdir()
    (tmp_path / "7-1" / "failure").write_bytes("ValueError: naïv".encode()[:-2])
    process = SimpleNamespace(pid=7, returncode=1)
    nothing: Any = None
    child = Child(
        nothing, "me", process, nothing, tmp_path, tmp_path, nothing, lambda: None, "mark"
    )
    assert child._failure() == "ValueError: na\ufffd"
