"""Files in a real S3 store and in memory: saved by runners, uploaded, served, listed, ended."""

import os
import time
from collections.abc import Iterator

import httpx2
import obstore
import pytest
from tests.support.weed import KEYS, Weed, weed_with_its_keys

from towpath.errors import StoreUnusableError
from towpath.testing import Server, serve

APP = """
import towpath
class Painter(towpath.App):
    @towpath.endpoint("/")
    def run(self, size: int = 100, kind: str = "image/png", name: str = "a.png") -> towpath.File:
        return towpath.File.from_bytes(bytes(range(256)) * (size // 256 + 1), kind, name)
    @towpath.endpoint("/read")
    def read(self, file: towpath.FileInput) -> int:
        return len(file.as_bytes())
"""
CLOUD = [pytest.mark.engines, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("app") / "painter.py"
    file.write_text(APP)
    return str(file)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    with weed_with_its_keys(tmp_path_factory.mktemp("weed")) as running:
        yield running


@pytest.fixture(
    scope="module",
    params=[
        "memory",
        pytest.param("redirect", marks=CLOUD),
        pytest.param("proxy", marks=CLOUD),
    ],
)
def server(request: pytest.FixtureRequest, app: str) -> Iterator[Server]:
    if request.param == "memory":
        with serve(app, store="memory://", store_reserve=0) as own:
            yield own
        return
    s3: Weed = request.getfixturevalue("s3")
    where = s3.store(f"files/{request.param}")
    with serve(app, store=where, store_reads=request.param, store_reserve=0) as own:
        yield own


def run(server: Server, **wanted) -> dict:
    answer = httpx2.post(f"{server.url}/local/painter", json=wanted, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("size", [100, 1_000_000, 20_000_000])
def test_what_a_runner_saves_everybody_reads(server: Server, size: int) -> None:
    file = run(server, size=size)
    content = bytes(range(256)) * (size // 256 + 1)
    answer = httpx2.get(file["url"], follow_redirects=True)
    assert answer.content == content
    assert answer.headers["content-type"] == "image/png"
    part = httpx2.get(file["url"], headers={"Range": "bytes=10-99"}, follow_redirects=True)
    assert (part.status_code, part.content) == (206, content[10:100])
    head = httpx2.head(file["url"])
    assert head.headers["content-length"] == str(len(content))
    again = httpx2.get(file["url"], headers={"If-None-Match": head.headers["etag"]})
    assert again.status_code == 304


def test_several_ranges_conditions_and_refusals(server: Server) -> None:
    url = run(server, kind="text/html", name="a.html")["url"]
    several = httpx2.get(url, headers={"Range": "bytes=0-1,5-6,250-"})
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert len(several.content) == int(several.headers["content-length"])
    beyond = httpx2.get(url, headers={"Range": "bytes=1000-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */256")
    assert httpx2.get(url, headers={"If-Match": '"other"'}).status_code == 412


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "text/javascript", "text/plain"])
def test_active_files_come_with_our_headers(server: Server, kind: str) -> None:
    url = run(server, kind=kind, name="x")["url"]
    answer = httpx2.get(url)
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_download_is_asked_for_here(server: Server) -> None:
    answer = httpx2.get(run(server, name="bild.png")["url"], params={"download": "1"})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="bild.png"')


def test_an_upload_is_read_by_an_app(server: Server) -> None:
    data = os.urandom(3_000_000)
    sent = httpx2.post(f"{server.url}/files/upload", content=data, timeout=60)
    url = sent.json()["access_url"]
    assert httpx2.get(url, follow_redirects=True).content == data
    read = httpx2.post(f"{server.url}/local/painter/read", json={"file": url}, timeout=60)
    assert read.json() == len(data)


def test_from_its_second_on_a_file_is_gone(server: Server) -> None:
    life = {"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 2}'}
    sent = httpx2.post(f"{server.url}/files/upload", content=b"x", headers=life)
    url = sent.json()["access_url"]
    assert httpx2.get(url, follow_redirects=True).status_code == 200
    time.sleep(2.1)
    assert httpx2.get(url).status_code == 410
    server.running.store.sweep_expired()
    assert httpx2.get(url).status_code == 410


def test_lives_are_changed_and_ended_by_the_operator(server: Server) -> None:
    url = run(server)["url"]
    file_id = url.split("/files/")[1].split("/")[0]
    path = f"{server.url}/admin/files/{file_id}"
    assert httpx2.patch(path, json={"expires_in": 3600}).status_code == 200
    assert "x-expires-at" in httpx2.head(url).headers
    assert httpx2.delete(path).status_code == 204
    assert httpx2.get(url).status_code == 404


@pytest.mark.engines
@pytest.mark.timeout(300)
class TestOnS3:
    def test_readers_are_sent_to_the_store_for_a_moment(self, s3: Weed, app: str) -> None:
        with serve(app, store=s3.store("sent"), store_reserve=0) as server:
            life = {"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 30}'}
            headers = life | {"content-type": "image/png"}
            sent = httpx2.post(f"{server.url}/files/upload", content=b"png", headers=headers)
            answer = httpx2.get(sent.json()["access_url"])
            assert answer.status_code == 302
            assert answer.headers["location"].startswith(s3.endpoint)
            seconds = int(answer.headers["location"].split("X-Amz-Expires=")[1].split("&")[0])
            assert 25 <= seconds <= 30, "no longer than the file lives"
            assert answer.headers["cache-control"].startswith("private, max-age=")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert httpx2.get(answer.headers["location"]).content == b"png"

    def test_another_machine_finds_what_the_index_lacks(self, s3: Weed, app: str) -> None:
        where = s3.store("two")
        with serve(app, store=where, store_reserve=0) as one, serve(app, store=where) as other:
            url = run(one, kind="text/plain")["url"]
            file_id = url.split("/files/")[1].split("/")[0]
            httpx2.patch(f"{one.url}/admin/files/{file_id}", json={"expires_in": 1000})
            there = httpx2.get(f"{other.url}/files/{file_id}/x")
            assert there.status_code == 200
            assert "x-expires-at" in there.headers, "a changed life is read too"
            lists = httpx2.get(f"{other.url}/admin/files").json()["items"]
            assert file_id in {item["id"] for item in lists}

    def test_a_lost_index_is_made_again_from_the_bucket(self, s3: Weed, tmp_path) -> None:
        from tests.storage.test_every_store import opened

        store = opened(s3.store("again"), tmp_path / "one")
        from towpath.storage.staging import NewFile

        records = [
            store.save(NewFile(b"x" * number, f"{number}", "text/plain", lifetime=1000))
            for number in range(40)
        ]
        changed = store.set_life(records[0].id, None)
        store.close()
        other = opened(s3.store("again"), tmp_path / "two")
        assert other.page(limit=100).files == []
        other.recover()
        found = {file.id: file for file in other.page(limit=100).files}
        assert found == {file.id: file for file in [changed, *records[1:]]}
        other.close()

    def test_a_file_that_another_program_removed_is_missing(self, s3: Weed, app: str) -> None:
        with serve(app, store=s3.store("lost"), store_reads="proxy", store_reserve=0) as server:
            url = run(server)["url"]
            file_id = url.split("/files/")[1].split("/")[0]
            obstore.delete(s3.client(), f"lost/o/{file_id[:2]}/{file_id}")
            assert httpx2.get(url).status_code == 404


def test_a_server_does_not_start_on_a_store_that_does_not_answer(
    app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    where = "s3://files/x?endpoint=http://127.0.0.1:9&region=us-east-1"
    with pytest.raises(StoreUnusableError, match="does not answer"), serve(app, store=where):
        pass


def test_memory_leaves_nothing_behind(app: str) -> None:
    from pathlib import Path

    with serve(app, store="memory://", store_reserve=0) as server:
        folder = Path(server.running.store.blobs.root)
        assert run(server)["url"]
        assert any(folder.rglob("*.json"))
    assert not folder.exists()


def test_what_a_killed_server_left_in_memory_is_swept(app: str) -> None:
    import subprocess
    import tempfile
    from pathlib import Path

    dead = subprocess.Popen(["true"])
    dead.wait()
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
    left, other = (memory / f"towpath-{pid}-x" for pid in (dead.pid, os.getpid()))
    for folder in (left, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    with serve(app, store="memory://", store_reserve=0):
        assert not left.exists()
        assert other.exists(), "its server lives"
    (other / "file").unlink()
    other.rmdir()
