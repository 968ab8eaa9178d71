"""The queue takes requests for the paths that a runner answers at, and for no others."""

from collections.abc import Iterator
from textwrap import dedent

import httpx2
import pytest

from towpath.testing import serve

CODE = """
    import towpath
    class Lab(towpath.App):
        @towpath.endpoint("/")
        def run(self) -> int:
            return 1
        @towpath.endpoint("/cancel")
        def cancel(self) -> int:
            return 2
        @towpath.endpoint("/deep/er")
        def deeper(self) -> int:
            return 3
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("app") / "lab.py"
    file.write_text(dedent(CODE))
    with serve(str(file), store_reserve=0) as server:
        yield server.url


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("", True),
        ("/", True),
        ("/cancel", True),
        ("/deep/er/", True),
        ("/%64eep/er", True),
        ("/deep%2Fer", True),
        ("/health", True),
        ("/openapi.json", True),
        ("/nope", False),
        ("/stream", False),
        ("/deep", False),
        ("/deep/er/cancel", False),
        ("//deep/er", False),
        ("/Deep/er", False),
        ("/health/x", False),
        ("/nope?fal_max_queue_length=5", False),
        ("/requests", False),
        ("/requests/x/nope", False),
    ],
)
def test_a_made_up_path_gets_no_place_in_the_queue(url: str, path: str, *, taken: bool) -> None:
    """Issue 18: it got one, and operators read the made-up name among their apps' endpoints."""
    direct = httpx2.post(f"{url}/local/lab{path}", json={})
    queued = httpx2.post(f"{url}/queue/local/lab{path}", json={})
    assert (direct.status_code != 404, queued.status_code == 200) == (taken, taken)
    if not taken:
        assert (queued.status_code, queued.json()) == (404, direct.json())
        assert "Endpoints of this app: /, /cancel, /deep/er." in queued.json()["detail"]
        assert queued.headers["x-fal-billable-units"] == "0"
        assert "nope" not in httpx2.get(f"{url}/admin/requests").text
