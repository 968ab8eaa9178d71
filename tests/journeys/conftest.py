"""A real server with real runners, over real sockets."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import httpx2
import pytest
from tests.support.everything import CODE

from towpath.testing import Server, serve

Served = tuple[httpx2.Client, Server]


@pytest.fixture
def serve_code(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve an app given as text; loopback hosts are allowed."""
    with ExitStack() as stack:

        def start(code: str, **settings: object) -> Served:
            file = tmp_path / "app.py"
            file.write_text(dedent(code))
            options = {
                "data_dir": tmp_path / "data",
                "store_reserve": 0,
                "allow_hosts": "127.0.0.1",
            }
            server = stack.enter_context(serve(str(file), **{**options, **settings}))
            client = httpx2.Client(base_url=server.url, timeout=60)
            return stack.enter_context(client), server

        yield start


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(dedent(CODE))
    with serve(str(folder / "app.py"), data_dir=folder / "data", store_reserve=0) as own:
        yield own


@pytest.fixture(scope="module")
def client(everything: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=everything.url + "/local/all", timeout=30) as own:
        yield own
