"""The promises between the code blocks of the page, one test each."""

import logging
from pathlib import Path

import httpx2
import pytest
from tests.support.origin import Origin

APP = """
    import subprocess
    import tempfile
    from pathlib import Path
    import towpath

    class Files(towpath.App, max_multiplexing=4):
        machine_type = "GPU-A100"

        @towpath.endpoint("/")
        def make(self, text: str, content_type: str | None = None, name: str | None = None) -> dict:
            return {"file": towpath.File.from_bytes(text.encode(), content_type, name)}

        @towpath.endpoint("/fetch")
        def fetch(self, url: str, folder: str = "models/") -> dict:
            return {"path": str(towpath.download_file(url, folder))}

        @towpath.endpoint("/scratch")
        def scratch(self) -> dict:
            path = Path(tempfile.mkdtemp()) / "scratch.txt"
            path.write_text("x")
            child = subprocess.run(["sh", "-c", "echo $TMPDIR"], capture_output=True, text=True)
            return {"path": str(path), "tmpdir": child.stdout.strip()}
"""


@pytest.fixture
def served(serve_code):
    return serve_code(APP)


@pytest.fixture
def client(served) -> httpx2.Client:
    return served[0]


def make(client: httpx2.Client, **inputs: object) -> dict:
    return client.post("/local/files", json=inputs).json()["file"]


def test_each_upload_has_a_unique_url(client: httpx2.Client) -> None:
    urls = {make(client, text="same")["url"] for _ in range(5)}
    assert len(urls) == 5


def test_public_files_need_no_key(serve_code) -> None:
    client, _ = serve_code(APP, keys="me:secret")
    assert client.post("/local/files", json={"text": "x"}).status_code == 401
    key = {"Authorization": "Key me:secret"}
    file = client.post("/local/files", json={"text": "x"}, headers=key).json()["file"]
    assert httpx2.get(file["url"]).text == "x"


@pytest.mark.parametrize("content_type", ["application/x-my-thing", "model/gltf-binary"])
def test_any_content_type_is_kept_as_given(client: httpx2.Client, content_type: str) -> None:
    file = make(client, text="x", content_type=content_type, name="a.thing")
    assert file["content_type"] == content_type
    assert httpx2.get(file["url"]).headers["content-type"] == content_type


def test_nothing_under_the_data_directory_has_a_url(client, tmp_path: Path) -> None:
    (tmp_path / "data" / "secret.txt").write_text("secret")
    file = make(client, text="x")
    base = file["url"].rpartition("/files/")[0]
    for path in (
        *("/secret.txt", "/data/secret.txt", "/files/secret.txt", "/files/../secret.txt"),
        *("/files/%2e%2e/secret.txt", "/files/..%2f..%2fsecret.txt", "//data/secret.txt"),
        f"/files/{'a' * 32}/../../secret.txt",
        "/.towpath/state/secret.key",
    ):
        answer = httpx2.get(base + path)
        assert answer.status_code in {400, 404}, path
        assert "secret" not in answer.text.replace("secret.txt", "").replace("secret.key", "")


def test_a_gpu_app_runs_here_with_one_warning(serve_code, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        client, _ = serve_code(APP)
    warnings = [r.getMessage() for r in caplog.records if "GPU-A100" in r.getMessage()]
    assert len(warnings) == 1
    assert make(client, text="x")["file_size"] == 1


def test_data_is_shared_and_stays(client: httpx2.Client, origin: Origin, tmp_path: Path) -> None:
    url = origin.put("/weights.bin", b"w")
    path = client.post("/local/files/fetch", json={"url": url}).json()["path"]
    assert path == str(tmp_path / "data" / "models" / "weights.bin")
    assert Path(path).read_bytes() == b"w"


def test_tmp_is_the_runners_own_and_goes_with_it(serve_code, tmp_path: Path) -> None:
    import asyncio

    client, server = serve_code(APP)
    answer = client.post("/local/files/scratch").json()
    scratch = Path(answer["path"])
    assert scratch.is_relative_to(answer["tmpdir"])
    runners = tmp_path / "data" / ".towpath" / "state" / "runners"
    own = next(runners.iterdir()) / "tmp"
    if scratch.is_relative_to(runners):  # no mounts of its own here
        assert scratch.exists()
    else:
        assert not scratch.exists(), "the runner's /tmp is not ours"
        scratch = own / scratch.relative_to("/tmp")
        assert scratch.exists()
    asyncio.run_coroutine_threadsafe(server.running.engine.stop(), server.loop).result(30)
    assert not scratch.exists()
    assert list(runners.iterdir()) == []


def test_files_expire_as_the_request_the_app_or_the_setting_says(serve_code) -> None:
    client, _ = serve_code(APP, media_expires_in="1h")
    assert make(client, text="x")["expires_at"] is not None
    header = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": null}'}
    kept = client.post("/local/files", json={"text": "x"}, headers=header).json()["file"]
    assert kept["expires_at"] is None
    header = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 1}'}
    short = client.post("/local/files", json={"text": "x"}, headers=header).json()["file"]
    import time

    deadline = time.monotonic() + 10
    while httpx2.get(short["url"]).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert httpx2.get(short["url"]).status_code == 410
