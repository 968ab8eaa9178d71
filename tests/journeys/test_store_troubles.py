"""A disk that is full or read-only, many idle callers, a sweeper at work: service goes on."""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.support.stores import folder_store

from towpath.storage.staging import NewFile
from towpath.testing import Server, serve

APP = """
import towpath
class Painter(towpath.App):
    @towpath.endpoint("/")
    def run(self, size: int = 100) -> towpath.File:
        return towpath.File.from_bytes(b"x" * size, "text/plain", "a.txt")
"""
MIB = 2**20
LIFE = 15


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("app") / "painter.py"
    file.write_text(APP)
    return str(file)


@contextmanager
def mounted(*arguments: str) -> Iterator[None]:
    """Mount something; it takes root, or an own mount namespace."""
    folder = arguments[-1]
    subprocess.run(["mount", *arguments], check=True, timeout=20)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, timeout=20)


def run(server: Server, size: int = 100) -> httpx2.Response:
    return httpx2.post(f"{server.url}/local/painter", json={"size": size}, timeout=60)


def upload(server: Server, data: bytes, life: int | None = None) -> httpx2.Response:
    wish = json.dumps({"expiration_duration_seconds": life})
    headers = {"x-fal-object-lifecycle-preference": wish} if life else {}
    return httpx2.post(f"{server.url}/files/upload", content=data, headers=headers, timeout=60)


def fill(server: Server) -> tuple[list[str], httpx2.Response]:
    """Upload until it is refused; return the URLs, and the refusal."""
    urls = []
    while (answer := upload(server, b"x" * MIB, life=LIFE)).status_code == 201:
        urls.append(answer.json()["access_url"])
    return urls, answer


@contextmanager
def hogged(folder: Path) -> Iterator[None]:
    """Take all the room there is."""
    hog = folder / "hog"
    with hog.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * MIB)
    yield
    hog.unlink()


@pytest.mark.engines
class TestDisks:
    def test_a_full_disk_refuses_and_goes_on(self, app: str, tmp_path: Path) -> None:
        folder = tmp_path / "small"
        folder.mkdir()
        with ExitStack() as stack:
            stack.enter_context(mounted("-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)))
            store = (folder / "store").as_uri()
            server = stack.enter_context(serve(app, store=store, store_reserve=8 * MIB))
            kept = upload(server, b"k" * MIB).json()["access_url"]
            urls, refused = fill(server)
            assert refused.status_code == 507, "the reserve is kept"
            assert "the server's disk is full" in refused.text
            assert 20 <= len(urls) < 40
            made = run(server, 2 * MIB)
            assert (made.status_code, "Traceback" in made.text) == (507, False)
            for url in (kept, *urls):
                assert len(httpx2.get(url).content) == MIB, "reads go on"
            assert list((folder / "store" / "tmp").iterdir()) == []
            with hogged(folder):
                assert upload(server, b"x").status_code == 507
                assert httpx2.get(kept).content == b"k" * MIB
                assert httpx2.get(f"{server.url}/health").status_code == 200
            time.sleep(LIFE + 1)
            server.running.store.sweep_expired()
            assert upload(server, b"x" * MIB).status_code == 201, "there is room again"
            assert run(server, 1000).status_code == 200

    def test_a_store_that_becomes_read_only_still_serves(
        self, app: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = tmp_path / "store"
        with ExitStack() as stack:
            # a runner with mounts of its own need not see those that are made here
            settings = {"store_reserve": 0, "private_tmp": "env"}
            server = stack.enter_context(serve(app, store=root.as_uri(), **settings))
            url = upload(server, b"before").json()["access_url"]
            with ExitStack() as closed:
                for part in ("o", "m", "tmp", "up"):
                    path = str(root / part)
                    closed.enter_context(mounted("--bind", path, path))
                    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
                refused = upload(server, b"during")
                assert refused.status_code == 503
                assert "Try again later" in refused.text
                assert "read-only" not in refused.text.lower(), "strangers learn nothing of ours"
                reasons = [str(vars(record).get("reason")) for record in caplog.records]
                assert any("read-only" in reason.lower() for reason in reasons)
                assert run(server).status_code == 507
                assert httpx2.get(url).content == b"before"
                assert httpx2.get(url, headers={"Range": "bytes=1-2"}).content == b"ef"
                file_id = url.split("/files/")[1].split("/")[0]
                removed = httpx2.delete(f"{server.url}/admin/files/{file_id}")
                assert removed.status_code == 503
                assert "read-only" in removed.text.lower()
            assert httpx2.get(url).content == b"before", "what could not be removed is there"
            again = upload(server, b"after")
            assert httpx2.get(again.json()["access_url"]).content == b"after"
            assert run(server).status_code == 200


@pytest.mark.engines
def test_where_the_disk_can_a_copy_takes_no_room(tmp_path: Path) -> None:
    """XFS shares blocks between files (FICLONE); what is changed later is changed in one."""
    image, folder = tmp_path / "image", tmp_path / "xfs"
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    subprocess.run(["mkfs.xfs", "-q", str(image)], check=True)
    folder.mkdir()
    with mounted("-o", "loop", str(image), str(folder)):
        store = folder_store(folder / "store")
        given = folder / "given"
        data = os.urandom(100 * MIB)
        given.write_bytes(data)
        os.sync()
        before = shutil.disk_usage(folder).free
        record = store.save(NewFile(given, "a", "video/mp4"))
        os.sync()
        assert before - shutil.disk_usage(folder).free < 5 * MIB
        with given.open("r+b") as file:
            file.write(b"changed")
        with store.open(record) as stream:
            assert stream.read() == data
        store.close()


def test_a_thousand_idle_connections_hold_nobody_up(app: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serve(app, store_reserve=0))
        url = upload(server, b"x" * 1000).json()["access_url"]
        host, port = server.url.removeprefix("http://").split(":")
        path = re.sub(r"^http://[^/]+", "", url)
        for number in range(1000):
            sock = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            if number % 2:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode())  # and no end
        for _ in range(20):
            assert httpx2.get(url).content == b"x" * 1000
        assert run(server).status_code == 200


def test_clients_of_a_byte_a_second_hold_nobody_up(app: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serve(app, store_reserve=0))
        url = upload(server, os.urandom(20 * MIB)).json()["access_url"]
        small = upload(server, b"x" * 1000).json()["access_url"]
        host, port = server.url.removeprefix("http://").split(":")
        path = re.sub(r"^http://[^/]+", "", url)
        readers = []
        for _ in range(50):
            sock = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            readers.append(sock)
        writer = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
        writer.sendall(b"POST /files/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(3):
            for sock in readers:
                assert sock.recv(1)
            writer.sendall(b"x")
            for _ in range(10):
                assert httpx2.get(small).content == b"x" * 1000
            time.sleep(0.3)


@pytest.mark.parametrize(
    "count", [3_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
)
def test_reads_stay_quick_while_many_files_expire_at_once(app: str, count: int) -> None:
    with serve(app, store_reserve=0, durability="process") as server:
        store = server.running.store
        url = upload(server, b"x" * 10_000).json()["access_url"]
        for _ in range(count):
            store.save(NewFile(b"x", "a", "text/plain", lifetime=1))
        time.sleep(1.1)
        calm = read_times(url, 300)
        begun = time.monotonic()
        sweeping = threading.Thread(target=store.sweep_expired)
        sweeping.start()
        busy = read_times(url, 300)
        sweeping.join()
        seconds = time.monotonic() - begun
        assert store.totals() == (1, 10_000)
        ratio = statistics.median(busy) / statistics.median(calm)
        print(f"{count} swept in {seconds:.1f} s; a read takes {ratio:.1f} times as long")
        assert ratio < 10, "the sweeper leaves room"


def read_times(url: str, count: int) -> list[float]:
    times = []
    with httpx2.Client() as client:
        for _ in range(count):
            begun = time.perf_counter()
            assert client.get(url).status_code == 200
            times.append(time.perf_counter() - begun)
    return times
