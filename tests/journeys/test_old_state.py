"""State that an older commit made opens: files and URLs, the queue, downloads, settings."""

import json
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.command import Command, wait_until, write
from tests.support.old_state import APP, DOWNLOADS, SETTINGS, GitHost, old_source, run_old
from tests.support.queued import result, status, submit, until
from tests.support.stores import folder_store

from towpath import settings as settings_room
from towpath.errors import ObjectExpiredError
from towpath.testing import Origin, serve
from towpath.testing.origins import origin_of
from towpath.toolkit import clone_repository, download_file, download_model_weights

QUIET = {"progress": "off"}


@dataclass
class Old:
    """What the old server was asked, and what it answered.

    Attributes:
        folder: where its app and its data are.
        files: the path of each file's URL, by what the file is.
        ends: when each file is to end, None if it is kept.
        requests: what each submit was answered, by what the request is.
        answers: the answers of those that were done.
        statuses: their states.
    """

    folder: Path
    files: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str | None] = field(default_factory=dict)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, httpx2.Response] = field(default_factory=dict)
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def store(self) -> Path:
        return self.data / ".towpath" / "state" / "store"

    def file_id(self, name: str) -> str:
        return self.files[name].split("/")[2]

    def moved(self, name: str, url: str) -> dict[str, str]:
        """Return the URLs of a request on the server *url*."""
        given = self.requests[name]
        return {
            key: re.sub(r"^http://[^/]+", url, str(value))
            for key, value in given.items()
            if key.endswith("_url")
        }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old_source(tmp_path_factory.mktemp("old") / "checkout")


@pytest.fixture(scope="module")
def old(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Old:
    """Let the old server save files and take requests, and kill it while it is at work."""
    made = Old(tmp_path_factory.mktemp("state"))
    app = write(made.folder, "keeper.py", APP)
    env = {"TOWPATH_STORE_RESERVE": "0", "PYTHONPATH": str(source)}
    with Command(app, "--port", "0", "--data-dir", str(made.data), env=env) as server:
        server.wait_for("ready in")
        code = httpx2.post(f"{server.url}/local/keeper/code", timeout=30).json()
        assert code.startswith(str(source)), "the old code runs, not that of today"
        _save_files(made, server.url)
        _finish_requests(made, server.url)
        _leave_requests(made, server.url)
        server.send(signal.SIGKILL)
        server.finish()
    shutil.copytree(made.store, made.folder / "store")
    return made


def _save_files(made: Old, url: str) -> None:
    """Save files of every kind: by an app and by uploads, kept, ending and ended."""

    def keep(name: str, saved: dict[str, Any]) -> None:
        file_url = saved.get("url") or saved["access_url"]
        made.files[name] = "/files/" + file_url.partition("/files/")[2]
        made.ends[name] = saved["expires_at"]

    run = f"{url}/local/keeper"
    for name, life in (("kept", None), ("ending", 3600), ("ended", 1)):
        answer = httpx2.post(run, json={"text": f"text of {name}", "life": life}, timeout=30)
        keep(name, answer.json())
    for name, headers in (
        ("uploaded", {"X-Fal-File-Name": "r%C3%A9sum%C3%A9.bin"}),
        (
            "uploaded-ending",
            {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 3600}'},
        ),
        ("unlabelled", {"Content-Type": "image/png"}),
    ):
        answer = httpx2.post(
            f"{url}/files/upload", content=f"text of {name}".encode(), headers=headers
        )
        keep(name, answer.json())


def _finish_requests(made: Old, url: str) -> None:
    """Let requests be done: well, with an error of the app, of the caller, with logs, cancelled."""
    for name, path, body, headers in (
        ("told", "keeper/told", {"name": "told"}, {"Idempotency-Key": "key-told"}),
        ("failed", "keeper/fail", {}, {}),
        ("refused", "keeper/told", {"name": 7}, {}),
        ("forgotten", "keeper/told", {"name": "forgotten"}, {"X-Fal-Store-IO": "0"}),
    ):
        made.requests[name] = submit(url, path, body, headers=headers)
        made.answers[name] = result(made.requests[name])
        made.statuses[name] = status(made.requests[name])


def _leave_requests(made: Old, url: str) -> None:
    """Have one request at work, and others behind it."""
    made.requests["running"] = submit(
        url, "keeper/gate", {"name": "running"}, headers={"Idempotency-Key": "key-running"}
    )
    until(made.requests["running"], "IN_PROGRESS")
    for name, headers in (
        ("low", {"X-Fal-Queue-Priority": "low"}),
        ("waiting", {"Idempotency-Key": "key-waiting"}),
        ("patient", {"X-Fal-Request-Timeout": "3600"}),
        ("given-up", {}),
    ):
        made.requests[name] = submit(url, "keeper/told", {"name": name}, headers=headers)
    httpx2.put(made.requests["given-up"]["cancel_url"])


@pytest.fixture(scope="module")
def url(old: Old) -> Iterator[str]:
    """Open the old server's state by the code of today."""
    (old.data / "open").touch()
    (_sidecar(old, "unlabelled")).unlink()
    with serve(str(old.folder / "keeper.py"), data_dir=old.data, store_reserve=0) as server:
        yield server.url


def _sidecar(old: Old, name: str) -> Path:
    file_id = old.file_id(name)
    return old.store / "m" / file_id[:2] / f"{file_id}.json"


@pytest.mark.parametrize("name", ["kept", "ending", "uploaded", "uploaded-ending", "unlabelled"])
def test_old_urls_serve_the_same_bytes(old: Old, url: str, name: str) -> None:
    answer = httpx2.get(url + old.files[name])
    assert answer.status_code == 200
    assert answer.text == f"text of {name}"
    assert (answer.headers["content-type"] == "image/png") is (name == "unlabelled")
    assert ("max-age=31536000" in answer.headers["cache-control"]) is ("ending" not in name)


def test_an_old_file_ends_when_it_was_to_end(old: Old, url: str) -> None:
    wait_until(lambda: httpx2.get(url + old.files["ended"]).status_code == 410)
    items = httpx2.get(f"{url}/admin/files").json()["items"]
    ends = {item["id"]: item["expires_at"] for item in items}
    lasting = set(old.files) - {"ended"}
    assert {n: ends[old.file_id(n)] for n in lasting} == {n: old.ends[n] for n in lasting}


def test_an_old_store_without_its_index_is_made_whole(old: Old) -> None:
    """The labels and sidecars of the old code are read where the index is lost."""
    copy = old.folder / "store"
    for path in copy.glob("index.db*"):
        path.unlink()
    with closing(folder_store(copy)) as store:
        for name in ("kept", "ending", "uploaded"):
            record = store.find(old.file_id(name))
            with store.open(record) as file:
                assert file.read().decode() == f"text of {name}"
            assert (record.expires is None) is (name != "ending")
        with pytest.raises(ObjectExpiredError):
            store.find(old.file_id("ended"))


@pytest.mark.parametrize("name", ["told", "failed", "refused", "forgotten"])
def test_old_answers_are_given_verbatim(old: Old, url: str, name: str) -> None:
    answer = httpx2.get(old.moved(name, url)["response_url"])
    before = old.answers[name]
    assert (answer.status_code, answer.content) == (before.status_code, before.content)
    for header in ("content-type", "x-fal-request-id"):
        assert answer.headers[header] == before.headers[header]


@pytest.mark.parametrize("name", ["told", "failed", "refused"])
def test_old_states_logs_and_progress_are_told(old: Old, url: str, name: str) -> None:
    now = httpx2.get(old.moved(name, url)["status_url"] + "?logs=1").json()
    before = old.statuses[name]
    for key in ("status", "request_id", "error", "progress", "metrics"):
        assert now.get(key) == before.get(key), key
    told = [(line["message"], line["timestamp"]) for line in now["logs"]]
    assert told == [(line["message"], line["timestamp"]) for line in before["logs"]]
    assert ("about told" in str(told)) is (name == "told")


def test_a_request_that_ran_at_the_kill_runs_again(old: Old, url: str) -> None:
    answer = result(old.moved("running", url))
    assert answer.json() == {"name": "running", "tries": 2}


@pytest.mark.parametrize("name", ["waiting", "low", "patient"])
def test_requests_that_waited_run_once(old: Old, url: str, name: str) -> None:
    assert result(old.moved(name, url)).json() == {"name": name, "tries": 1}


def test_a_request_that_was_cancelled_before_stays_so(old: Old, url: str) -> None:
    result(old.moved("waiting", url))
    assert httpx2.get(old.moved("given-up", url)["response_url"]).status_code != 200
    assert not (old.data / "tried-given-up").exists()


@pytest.mark.parametrize(
    ("name", "path"),
    [("told", "keeper/told"), ("running", "keeper/gate"), ("waiting", "keeper/told")],
)
def test_old_keys_still_mean_the_old_request(old: Old, url: str, name: str, path: str) -> None:
    again = submit(url, path, {"name": name}, headers={"Idempotency-Key": f"key-{name}"})
    assert again["request_id"] == old.requests[name]["request_id"]


# --- downloads ---

SIGNED = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=c{0}&X-Amz-Date=20260101T00000{0}Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={0}"


@pytest.fixture
def git_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHost]:
    (tmp_path / "git").mkdir()
    host = GitHost(tmp_path / "git")
    monkeypatch.setenv("SSL_CERT_FILE", str(host.authority))
    yield host
    host.close()


def _answer(exchange: Any) -> None:
    """Answer with bytes that name what was asked for; a signature is no part of that."""
    path = exchange.seen.path
    body = ("bytes of " + (path.partition("?")[0] if "X-Amz-" in path else path)).encode()
    etag = f'"{len(path)}"'
    if exchange.seen.headers.get("if-none-match") == etag:
        exchange.head("304 Not Modified", ETag=etag)
    elif "plain" in path:
        exchange.answer(body)
    else:
        exchange.answer(body, ETag=etag)


@pytest.fixture
def web() -> Iterator[Origin]:
    paths = ("/weights.bin", "/signed.bin", "/token.bin", "/tagged.txt", "/plain.txt")
    with origin_of(dict.fromkeys(paths, _answer)) as server:
        yield server


def test_old_downloads_are_used_and_none_is_fetched_again(
    source: Path, web: Origin, git_host: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, also under a newly signed URL; files of a target folder; clones."""
    data = tmp_path / "data"
    given = {
        "weights": {
            "plain": web.url("/weights.bin"),
            "signed": web.url(f"/signed.bin?v=1&{SIGNED.format(1)}"),
            "token": web.url("/token.bin?token=1"),
        },
        "files": {"tagged": web.url("/tagged.txt?a=1"), "same-length": web.url("/plain.txt")},
        "clones": {"clone": (git_host.url, git_host.commit)},
    }
    env = {"TOWPATH_DATA_DIR": str(data), "TOWPATH_STORE_RESERVE": "0"}
    env |= {"TOWPATH_ALLOW_HOSTS": "127.0.0.1,localhost"}
    paths = run_old(source, DOWNLOADS, json.dumps(given), cwd=tmp_path, **env)
    web.seen.clear()
    git_host.seen.clear()
    own = settings_room.load(data_dir=data, store_reserve=0, allow_hosts=("127.0.0.1", "localhost"))
    with settings_room.using(own):
        again = {
            "plain": download_model_weights(given["weights"]["plain"], **QUIET),
            "signed": download_model_weights(
                web.url(f"/signed.bin?v=1&{SIGNED.format(2)}"), **QUIET
            ),
            "clone": clone_repository(git_host.url, commit_hash=git_host.commit),
        }
        assert web.seen == []
        assert git_host.seen == []
        again["tagged"] = download_file(given["files"]["tagged"], "inputs", **QUIET)
        again["same-length"] = download_file(given["files"]["same-length"], "inputs", **QUIET)
        token = download_model_weights(given["weights"]["token"], **QUIET)
    assert {name: str(path) for name, path in again.items()} == {
        name: path for name, path in paths.items() if name != "token"
    }
    assert again["plain"].read_text() == "bytes of /weights.bin"
    assert again["signed"].read_text() == "bytes of /signed.bin"
    assert again["tagged"].read_text() == "bytes of /tagged.txt?a=1"
    assert again["same-length"].read_text() == "bytes of /plain.txt"
    assert (again["clone"] / "code.py").read_text() == "print(1)\n"
    assert token.read_text() == "bytes of /token.bin?token=1"
    assert "if-none-match" in web.requests("/tagged.txt")[0].headers


# --- settings ---

CHOSEN = {
    "TOWPATH_DATA_DIR": "/tmp/elsewhere",
    "TOWPATH_PUBLIC_URL": "https://files.example.org",
    "TOWPATH_CDN_URL": "https://cdn.example.org",
    "TOWPATH_OWNER": "acme",
    "TOWPATH_CORS_ORIGINS": "https://a.example,https://b.example",
    "TOWPATH_TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.1",
    "TOWPATH_MEDIA_EXPIRES_IN": "7d",
    "TOWPATH_DURABILITY": "process",
    "TOWPATH_STORE_READS": "proxy",
    "TOWPATH_STORE_RESERVE": "1GiB",
    "TOWPATH_MAX_UPLOAD_BYTES": "10MB",
    "TOWPATH_MAX_BODY_BYTES": "1MiB",
    "TOWPATH_MAX_JSON_DEPTH": "10",
    "TOWPATH_ALLOW_HOSTS": "127.0.0.1,*.internal:8080,10.0.0.0/8",
    "TOWPATH_SOURCES": "s3,hf",
    "TOWPATH_CACHE_MAX_BYTES": "200GiB",
    "TOWPATH_PROGRESS": "off",
    "TOWPATH_QUEUE_RETENTION": "3600",
    "TOWPATH_SCALE_TO_ZERO": "true",
    "TOWPATH_PRIVATE_TMP": "env",
    "TOWPATH_LOG_FORMAT": "json",
    "TOWPATH_LOG_LEVEL": "debug",
}


@pytest.mark.parametrize("chosen", [{}, CHOSEN], ids=["defaults", "chosen"])
@pytest.mark.parametrize("way", ["environment", "dotenv"])
def test_old_settings_mean_the_same(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, chosen: dict[str, str]
) -> None:
    old = run_old(source, SETTINGS, cwd=tmp_path, **chosen)
    if way == "dotenv":
        lines = [f"{name}={value}" for name, value in chosen.items()]
        (tmp_path / ".env").write_text("\n".join(lines))
    else:
        for name, value in chosen.items():
            monkeypatch.setenv(name, value)
    new = settings_room.load().to_environment()
    assert {name: new.get(name) for name in old} == old


def test_every_old_setting_is_still_one(source: Path) -> None:
    text = (source.parent / "docs" / "reference" / "settings.md").read_text()
    names = set(re.findall(r"^\| `TOWPATH_([A-Z_]+)`", text, re.MULTILINE))
    assert len(names) > 40
    assert names <= {name.upper() for name in settings_room.Settings.model_fields}
