"""A runner's process: what is left when it cannot even be started."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import pytest

from towpath import settings as settings_room
from towpath.engine.child import Child, Wanted, describe


def test_a_process_that_cannot_be_started_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        spec = (await describe(str(file), settings))[0]
        wanted = Wanted(spec, "local", (), lambda _: None, lambda: None)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
        before = len(list(Path("/dev/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(FileNotFoundError):
                await Child.start(wanted, settings)
        assert len(list(Path("/dev/fd").iterdir())) == before

    asyncio.run(start())
    assert not list(Path(tempfile.gettempdir()).glob(f"towpath-{os.getpid()}-*"))
