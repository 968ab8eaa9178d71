"""What is passed on and what is refused on the way: bodies, and the operator's to the byte."""

from collections.abc import Iterator

import httpx2
import pytest

from towpath.testing import Server, serve

APP = """
import towpath
class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self, text: str = "") -> str:
        return text
"""
BODY = b'{"text": "whole"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("app") / "echo.py"
    path.write_text(APP)
    with serve(str(path), store_reserve=0) as own:
        yield own


def in_pieces() -> Iterator[bytes]:
    yield from (BODY[at : at + 5] for at in range(0, len(BODY), 5))


@pytest.mark.parametrize("content", [lambda: BODY, in_pieces], ids=["length", "chunks"])
def test_a_body_arrives_however_its_end_is_told(server: Server, content) -> None:
    answer = httpx2.post(
        f"{server.url}/local/echo",
        content=content(),
        headers={"content-type": "application/json"},
    )
    assert answer.json() == "whole"


def test_a_request_without_a_body_has_none(server: Server) -> None:
    answer = httpx2.post(f"{server.url}/local/echo?text=from+the+query")
    assert answer.json() == "from the query"


def test_the_operators_bodies_have_64_kib_and_no_more(server: Server) -> None:
    uploaded = httpx2.post(f"{server.url}/files/upload", content=b"x").json()["access_url"]
    url = f"{server.url}/admin/files/{uploaded.split('/')[4]}"
    body = b'{"expires_in": "7d"}'
    fits = httpx2.patch(url, content=body + b" " * (65536 - len(body)))
    assert fits.status_code == 200
    assert fits.json()["expires_at"] is not None
    assert httpx2.patch(url, content=body + b" " * (65537 - len(body))).status_code == 413
