"""A gateway that is short of descriptors: a fault of its own."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

from towpath.net.upstream import RefusedError, ShortageError, Upstream


def test_a_connect_without_descriptors_is_no_fault_of_the_runner(tmp_path: Path) -> None:
    """trust T42: and the path of a socket that is gone is the runner's."""

    async def story() -> None:
        with pytest.raises(RefusedError):
            await Upstream(str(tmp_path / "gone.sock")).request("GET", "/")
        server = await asyncio.start_unix_server(lambda *_: None, tmp_path / "r.sock")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = os.dup(0)
        os.close(used)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, limits[1]))
        try:
            with pytest.raises(ShortageError):
                await Upstream(str(tmp_path / "r.sock")).request("GET", "/")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            server.close()

    asyncio.run(story())
