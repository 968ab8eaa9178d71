"""Files that are passed on from elsewhere: what nobody reads is not asked for."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from towpath.cdn.service import create_cdn
from towpath.errors import StoreUnusableError
from towpath.storage.file_store import FileStore
from towpath.storage.memory import MemoryObjects
from towpath.storage.remote import RemoteBlobs
from towpath.storage.staging import NewFile

MIB = 2**20


class Counted(MemoryObjects):
    """Counts the pieces that are read, and breaks off when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = 0
        self.breaks_after = 10**9
        self.refuses = False

    def get(self, key, *, start=0, stop=None):
        if self.refuses:
            raise StoreUnusableError("The store does not answer as it should (Test). Try again.")
        return self._counted(super().get(key, start=start, stop=stop))

    def _counted(self, pieces):
        for number, piece in enumerate(pieces):
            if number >= self.breaks_after:
                raise StoreUnusableError("it broke off")
            self.pieces += 1
            yield piece


@pytest.fixture
def objects() -> Counted:
    return Counted()


@pytest.fixture
def store(objects: Counted, tmp_path: Path) -> Iterator[FileStore]:
    own = FileStore(RemoteBlobs(objects, MemoryObjects(), tmp_path / "store", reserve=0))
    yield own
    own.close()


@pytest.fixture
def url(store: FileStore) -> Iterator[str]:
    config = uvicorn.Config(create_cdn(store, most_sent=2), port=0, log_level="critical")
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def saved(store: FileStore, size: int) -> str:
    return store.save(NewFile(bytes(size), "a.bin", "video/mp4")).id


def test_a_reader_that_leaves_ends_the_reading(
    store: FileStore, objects: Counted, url: str
) -> None:
    file_id = saved(store, 200 * MIB)
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(f"GET /files/{file_id}/a HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert sock.recv(1000)
    time.sleep(0.5)
    read = objects.pieces
    assert read < 50
    time.sleep(0.5)
    assert objects.pieces <= read + 1
    assert httpx2.get(f"{url}/files/{saved(store, 10)}/a").content == bytes(10)


def test_a_reader_that_waits_is_waited_for(store: FileStore, objects: Counted, url: str) -> None:
    file_id = saved(store, 100 * MIB)
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(f"GET /files/{file_id}/a HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(1)
        assert objects.pieces < 20, "memory holds a few pieces, not the file"


def test_a_store_that_breaks_off_ends_the_connection(
    store: FileStore, objects: Counted, url: str
) -> None:
    file_id = saved(store, 10 * MIB)
    objects.breaks_after = 3
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.get(f"{url}/files/{file_id}/a")


def test_a_store_that_does_not_answer_is_a_503(
    store: FileStore, objects: Counted, url: str
) -> None:
    file_id = saved(store, 10)
    objects.refuses = True
    answer = httpx2.get(f"{url}/files/{file_id}/a")
    assert answer.status_code == 503
    assert "cannot be used at the moment. Try again later." in answer.json()["detail"]
    assert answer.headers["cache-control"] == "no-store"
    objects.refuses = False
    for _ in range(5):
        assert httpx2.get(f"{url}/files/{file_id}/a").status_code == 200, "no place is lost"


def test_an_empty_file_and_a_head_ask_for_nothing(
    store: FileStore, objects: Counted, url: str
) -> None:
    empty, full = saved(store, 0), saved(store, 10)
    assert httpx2.get(f"{url}/files/{empty}/a").content == b""
    assert httpx2.head(f"{url}/files/{full}/a").headers["content-length"] == "10"
    assert objects.pieces == 0
