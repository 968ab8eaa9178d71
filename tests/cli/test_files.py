"""`towpath files`, as a user types it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from towpath.testing import serve

APP = """
import towpath
class Echo(towpath.App):
    @towpath.endpoint("/")
    def run(self) -> towpath.File:
        return towpath.File.from_bytes(b"made by an app", "text/plain", "made.txt")
"""


def command(
    data_dir: Path, *arguments: str, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    data_dir.mkdir(exist_ok=True, parents=True)
    return subprocess.run(
        [sys.executable, "-m", "towpath", "files", *arguments],
        capture_output=True,
        input=given,
        env={
            "TOWPATH_DATA_DIR": str(data_dir),
            "TOWPATH_STORE_RESERVE": "0",
            "PATH": "/usr/bin:/bin",
        },
        cwd=data_dir,
        check=False,
    )


def said(data_dir: Path, *arguments: str, given: bytes | None = None) -> str:
    done = command(data_dir, *arguments, given=given)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def test_what_is_put_is_listed_got_and_removed(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "a.txt").write_bytes(b"hello")
    url = said(data_dir, "put", "a.txt")
    assert url.startswith("http://127.0.0.1:8000/files/")
    ((listed,), cursor) = json.loads(said(data_dir, "ls", "--json")).values()
    assert (listed["url"], listed["file_size"], cursor) == (url, 5, None)
    assert said(data_dir, "ls", "-q") == listed["id"]
    assert "a.txt" in said(data_dir, "ls")
    assert said(data_dir, "get", url, "-o", "-") == "hello"
    assert said(data_dir, "get", listed["id"], "-o", "b.txt") == "b.txt"
    assert (data_dir / "b.txt").read_bytes() == b"hello"
    there = command(data_dir, "get", url)
    assert (there.returncode, b"a.txt exists" in there.stderr) == (1, True)
    assert said(data_dir, "rm", url) == listed["id"]
    assert said(data_dir, "ls") == ""
    again = command(data_dir, "rm", listed["id"])
    assert again.returncode == 1
    assert b"no file" in again.stderr.lower()


def test_the_standard_input_is_put_with_a_life(data_dir: Path) -> None:
    file = json.loads(said(data_dir, "put", "-", "--expires-in", "1", "--json", given=b"piped"))
    assert (file["file_size"], file["expires_at"] is None) == (5, False)
    time.sleep(2.1)
    assert said(data_dir, "ls") == ""
    assert json.loads(said(data_dir, "ls", "--expired", "--json"))["items"][0]["url"] == file["url"]
    assert json.loads(said(data_dir, "prune", "--json")) == {"expired": 1, "leftovers": 0}
    assert b"expired" in command(data_dir, "get", file["url"]).stderr


def test_an_empty_list_names_the_store(data_dir: Path) -> None:
    done = command(data_dir, "ls")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith("no files in ")
    assert str(data_dir) in done.stderr.decode()


def test_pages_go_on_where_they_ended(data_dir: Path) -> None:
    data_dir.mkdir()
    for name in "abc":
        (data_dir / name).write_bytes(b"x")
    said(data_dir, "put", "a", "b", "c")
    first = command(data_dir, "ls", "--limit", "2", "-q")
    cursor = first.stderr.decode().partition("--cursor '")[2].partition("'")[0]
    second = said(data_dir, "ls", "--limit", "2", "-q", "--cursor", cursor)
    assert len({*first.stdout.decode().split(), second}) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["put", "missing"], 1, ["missing", "No such file"]),
        (["put", "-", "--expires-in", "soon"], 2, ["soon"]),
        (["ls", "--limit", "0"], 2, ["1000"]),
        (["ls", "--cursor", "x"], 2, ["cursor"]),
        (["get", "a" * 32], 1, ["a" * 32]),
    ],
)
def test_what_is_wrong_is_a_sentence(data_dir: Path, arguments, code, words) -> None:
    done = command(data_dir, *arguments, given=b"")
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr.decode()


def test_it_works_beside_a_server_and_has_its_urls(tmp_path: Path, data_dir: Path) -> None:
    app = tmp_path / "echo.py"
    app.write_text(APP)
    with serve(str(app), store_reserve=0, data_dir=data_dir) as server:
        made = httpx2.post(f"{server.url}/local/echo", json={}).json()["url"]
        (data_dir / "a.txt").write_bytes(b"put beside it")
        put = said(data_dir, "put", "a.txt")
        assert put.startswith(server.url)
        assert httpx2.get(put).content == b"put beside it"
        owners = {
            row["owner"]: row["files"] for row in json.loads(said(data_dir, "usage", "--json"))
        }
        assert owners == {"local/echo": 1, "local": 1}
        said(data_dir, "rm", made)
        assert httpx2.get(made).status_code == 404
