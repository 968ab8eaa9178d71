"""Trust T15: a runner's temporaries go with the request that made them, however it ends."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from tests.support.folders import files_below
from tests.support.origin import Origin

from towpath.testing import Server, serve

CODE = """
import asyncio
import time
from pathlib import Path
import towpath
from pydantic import BaseModel
from towpath.toolkit import (
    CompressedFile, File, FileConstraints, FileField, FileInput, download_file,
)

class Input(BaseModel):
    file: FileInput = FileField(constraints=FileConstraints(max_bytes=10_000))

class Work(towpath.App, max_multiplexing=4, request_timeout=3, termination_grace_period_seconds=1):
    @towpath.endpoint("/sync")
    def sync(self, input: Input) -> str:
        return str(input.file.to_path())

    @towpath.endpoint("/async")
    async def later(self, input: Input) -> str:
        return str(await input.file.to_path_async())

    @towpath.endpoint("/stream")
    def stream(self, file: FileInput):
        path = file.to_path()
        yield path.read_bytes().decode()
        yield path.read_bytes().decode()

    @towpath.endpoint("/failing")
    def failing(self, file: FileInput) -> str:
        file.to_path()
        raise RuntimeError("no")

    @towpath.endpoint("/too-long")
    def too_long(self, file: FileInput) -> str:
        path = file.to_path()
        while path.exists():
            time.sleep(0.01)
        return "gone too early"

    @towpath.endpoint("/background")
    async def background(self, file: FileInput) -> str:
        async def work():
            await asyncio.sleep(0.3)
            self.seen = (await File(url=str(file)).to_path_async()).read_bytes().decode()
        self.task = asyncio.create_task(work())
        await file.to_path_async()
        return "begun"

    @towpath.endpoint("/seen")
    async def what_was_seen(self) -> str:
        await self.task
        return self.seen

    @towpath.endpoint("/own")
    def own(self, file: FileInput) -> str:
        return str(download_file(str(file), "/tmp/inputs"))

    @towpath.endpoint("/moved")
    def moved(self) -> dict:
        path = Path("/tmp/made/large.bin")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 20 * 2**20)
        file = File.from_path(path, move=True)
        back = File(url=file.url).to_path().stat()
        told = {"links": path.stat().st_nlink, "size": back.st_size, "url": file.url}
        path.unlink()
        return told

    @towpath.endpoint("/batched")
    @towpath.batch(max_size=2, max_wait=0.5)
    def batched(self, inputs: list[Input]) -> list[str]:
        return [each.file.to_path().read_bytes().decode() for each in inputs]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("temporaries")
    (folder / "app.py").write_text(CODE)
    options = {"store_reserve": 0, "allow_hosts": "127.0.0.1"}
    with serve(str(folder / "app.py"), data_dir=folder / "data", **options) as own:
        yield own


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{server.url}/local/work", timeout=60) as own:
        yield own


@pytest.fixture
def left(server: Server) -> Callable[[int], list[Path]]:
    """Return the files in the runner's /tmp, once there are no more than expected."""
    runners = server.running.settings.state / "runners"

    def look(expected: int) -> list[Path]:
        for _ in range(400):
            found = [path for each in runners.glob("*/tmp") for path in files_below(each)]
            found = [path for path in found if ".towpath-downloads" not in path.parts]
            if len(found) <= expected:
                break
            threading.Event().wait(0.05)
        return found

    return look


@pytest.mark.parametrize("path", ["/sync", "/async", "/stream", "/failing", "/too-long"])
def test_nothing_is_left_in_the_runner(path: str, client, left, origin: Origin) -> None:
    """Trust T15: ten calls left ten files in the runner's temp folder for its life."""
    url = origin.put("/a.txt", b"content")
    answers = [client.post(path, json={"file": url}) for _ in range(1 if "long" in path else 5)]
    wanted = {"/failing": 500, "/too-long": 504}.get(path, 200)
    assert [answer.status_code for answer in answers] == [wanted] * len(answers)
    assert left(0) == []


def test_nothing_is_left_of_a_caller_who_left(client, left, origin: Origin) -> None:
    url = origin.put("/a.txt", b"content")
    with pytest.raises(httpx2.ReadTimeout):
        client.post("/too-long", json={"file": url}, timeout=0.7)
    assert left(0) == []


def test_work_that_outlives_its_request_goes_on(client, left, origin: Origin) -> None:
    url = origin.put("/a.txt", b"content")
    assert client.post("/background", json={"file": url}).json() == "begun"
    assert client.post("/seen").json() == "content"
    assert left(0) == []


def test_a_batch_has_files_of_its_own(client, left, origin: Origin) -> None:
    urls = [origin.put(f"/{name}.txt", name.encode()) for name in "ab"]
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(client.post, "/batched", json={"file": url}) for url in urls]
    assert [call.result().json() for call in calls] == ["a", "b"]
    assert left(0) == []


def test_what_the_author_downloads_to_a_place_of_his_stays(client, left, origin: Origin) -> None:
    url = origin.put("/own.txt", b"content")
    assert client.post("/own", json={"file": url}).json() == "/tmp/inputs/own.txt"
    assert [path.name for path in left(1)] == ["own.txt"]


def test_a_file_of_the_runners_own_tmp_is_moved_into_the_store(client, left) -> None:
    """Trust T51: 10 GiB were copied, in 46 s and with twice the disk."""
    told = client.post("/moved").json()
    assert told["size"] == 20 * 2**20
    assert told["links"] >= 2, "the store links it, and to_path() links or clones it back"
    assert len(httpx2.get(told["url"]).content) == told["size"]
    left(1)
