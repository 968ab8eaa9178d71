"""Every way in keeps the disk's reserve: what would use it up is refused, and leaves nothing."""

import base64
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent

import httpx2
import pytest
from tests.journeys.test_store_troubles import mounted

from towpath.testing import Server, serve

MIB = 2**20
ABOVE = 20 * MIB
SLACK = 2 * MIB
CODE = """
import towpath

class Takes(towpath.App):
    @towpath.endpoint("/")
    def run(self, file: towpath.FileInput) -> int:
        return len(file.as_bytes())
"""
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root; CI has it")


class Disk:
    """The disk of a server, and the least that was free on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reserve = self.free - ABOVE
        self.least = self.free
        self.is_watched = True

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def watch(self) -> None:
        while self.is_watched:
            self.least = min(self.least, self.free)
            threading.Event().wait(0.001)


@contextmanager
def watched(disk: Disk) -> Iterator[None]:
    """Note the least that is free meanwhile."""
    disk.least, disk.is_watched = disk.free, True
    thread = threading.Thread(target=disk.watch)
    thread.start()
    yield
    disk.is_watched = False
    thread.join()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Disk]]:
    """A server whose disk has 20 MiB above its reserve; its folder for temporary files is there."""
    folder = tmp_path_factory.mktemp("disk")
    code = tmp_path_factory.mktemp("code") / "app.py"
    code.write_text(dedent(CODE))
    before = tempfile.tempdir
    with ExitStack() as stack:
        stack.enter_context(mounted("-t", "tmpfs", "-o", "size=120m", "towpath", str(folder)))
        (folder / "tmp").mkdir()
        tempfile.tempdir = str(folder / "tmp")
        disk = Disk(folder)
        given = {"data_dir": folder / "data", "store_reserve": disk.reserve}
        yield stack.enter_context(serve(str(code), **given)), disk
        tempfile.tempdir = before
    tempfile.tempdir = before


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield a body, so that its length is not declared."""
    for at in range(0, len(data), 256 * 1024):
        yield data[at : at + 256 * 1024]


def form(size: int, name: str = "file") -> tuple[bytes, dict[str, str]]:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.bin"\r\n\r\n'
    return head.encode() + bytes(size) + b"\r\n--b--\r\n", {
        "content-type": "multipart/form-data; boundary=b"
    }


def raw(size: int) -> tuple[bytes, dict[str, str]]:
    return bytes(size), {"content-type": "application/x-thing"}


def uri(size: int) -> tuple[bytes, dict[str, str]]:
    inner = base64.b64encode(bytes(size * 3 // 4)).decode()
    body = f'{{"file": "data:application/x-thing;base64,{inner}"}}'
    return body.encode(), {"content-type": "application/json"}


@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "in chunks"])
@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/files/upload", raw),
        ("/files/upload", form),
        ("/local/takes", form),
        ("/local/takes", uri),
        ("/queue/local/takes", form),
        ("/queue/local/takes", uri),
    ],
    ids=["raw upload", "form upload", "call form", "call data URI", "queue form", "queue data URI"],
)
def test_no_way_in_uses_up_the_reserve(
    served: tuple[Server, Disk], path: str, make: Callable, *, is_declared: bool
) -> None:
    """trust T9, T10: 507 with a sentence, nothing left, and smaller ones go on."""
    (server, disk), (data, headers) = served, make(45 * MIB)
    before = disk.free
    with watched(disk), httpx2.Client(base_url=server.url, timeout=60) as client:
        content = data if is_declared else pieces(data)
        answer = client.post(path, content=content, headers=headers)
    assert answer.status_code == 507, answer.text[:200]
    assert "the server's disk is full" in answer.json()["detail"]
    assert disk.least >= disk.reserve - SLACK
    for _ in range(100):
        if disk.free >= before - SLACK:
            break
        threading.Event().wait(0.05)
    assert disk.free >= before - SLACK
    data, headers = make(1000)
    assert httpx2.post(f"{server.url}{path}", content=data, headers=headers).is_success


def test_ten_large_uploads_at_once_share_what_there_is(served: tuple[Server, Disk]) -> None:
    """trust T10: each alone would fit."""
    server, disk = served
    data, headers = form(8 * MIB)
    said: list[int] = []

    def send() -> None:
        url = f"{server.url}/local/takes"
        said.append(httpx2.post(url, content=pieces(data), headers=headers, timeout=60).status_code)

    threads = [threading.Thread(target=send) for _ in range(10)]
    with watched(disk):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(said) <= {200, 507}
    assert 507 in said
    assert disk.least >= disk.reserve - 10 * 256 * 1024 - SLACK
