"""What `towpath run` says before and while it starts."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from tests.support.command import Command, write

APP = """
    import towpath

    class Echo(towpath.App, title="Echo"):
        '''Give back what came.'''

        @towpath.endpoint("/")
        def run(self, text: str) -> dict:
            return {"text": text}
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    return write(tmp_path, "echo.py", APP)


def test_the_first_lines_say_where_everything_is(app: str, tmp_path: Path) -> None:
    flags = ("--port", "0", "--data-dir", str(tmp_path / "d"), "--expires-in", "7d")
    with Command(app, *flags) as server:
        output = server.wait_for("ready in")
        port = server.url.rpartition(":")[2]
        assert f"http://127.0.0.1:{port}/local/echo" in output
        assert f"http://127.0.0.1:{port}/playground/local/echo" in output
        assert f"{tmp_path}/d/.towpath/state/store" in output
        assert "expire 7d after" in output
        assert "only this machine can reach it" in output
        assert "GiB" in output
        assert "level" not in output, "nothing is logged before anything has happened"
        page = httpx2.get(f"{server.url}/playground/local/echo")
        assert page.status_code == 200
        assert '<div id="page">' in page.text
        assert '<div id="page">' in httpx2.get(server.url, follow_redirects=True).text
        [listed] = httpx2.get(f"{server.url}/apps").json()["apps"]
        assert (listed["title"], listed["description"]) == ("Echo", "Give back what came.")
        assert httpx2.get(f"{server.url}/playground/local/nope").status_code == 404


@pytest.mark.parametrize(
    "front",
    [
        {"TOWPATH_PUBLIC_URL": "https://api.example.org"},
        {"TOWPATH_CDN_URL": "https://files.example.org"},
        {"TOWPATH_HOST_NAMES": "api.example.org"},
        {"TOWPATH_TRUSTED_PROXIES": "127.0.0.1"},
    ],
)
def test_a_front_is_told_in_the_first_lines(app: str, tmp_path: Path, front: dict) -> None:
    """The server's own address is this machine's, and the front's callers reach it all the same."""
    flags = ("--port", "0", "--data-dir", str(tmp_path / "d"))
    with Command(app, *flags, env=front) as server:
        output = server.wait_for("Address ")
    assert "only this machine" not in output
    assert "the proxy in front" in output
    assert "WARNING: everybody who reaches it can run the apps" in output


def test_a_disk_without_room_is_told_in_the_first_lines(app: str, tmp_path: Path) -> None:
    flags = ("--port", "0", "--data-dir", str(tmp_path / "d"))
    with Command(app, *flags, env={"TOWPATH_STORE_RESERVE": str(2**60)}) as server:
        output = server.wait_for("Address ")
    assert "WARNING: nothing can be saved." in output
    assert "TOWPATH_STORE_RESERVE" in output


def test_a_file_that_is_not_there_is_told_before_anything_is_started(tmp_path: Path) -> None:
    command = ("run", str(tmp_path / "nosuch.py"), "--data-dir", str(tmp_path / "d"))
    done = subprocess.run(
        [sys.executable, "-m", "towpath", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("There is no file") == 1
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("seconds", [0.2, 0.4, 0.7, 1.0])
def test_ctrl_c_at_any_moment_of_the_start_prints_no_traceback(
    app: str, tmp_path: Path, seconds: float
) -> None:
    with Command(app, "--port", "0", "--data-dir", str(tmp_path / "d")) as server:
        time.sleep(seconds)
        server.send(signal.SIGINT)
        server.finish()
    is_pythons_own = "towpath/" not in server.output  # before it has come to our first line
    assert "Traceback" not in server.output or is_pythons_own, server.output
