"""How a download is shown."""

import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from towpath.downloads import progress as room
from towpath.testing.misbehaviours import BODY, LARGE
from towpath.testing.origins import Exchange, origin_of
from towpath.toolkit import download_file

pytestmark = pytest.mark.usefixtures("settings")


def slow(exchange: Exchange) -> None:
    exchange.serve(LARGE, pause=0.01)


def test_a_function_is_called_at_most_ten_times_a_second() -> None:
    calls: list[tuple[int, int | None]] = []
    with origin_of({"/f": slow}) as server:
        download_file(
            server.url("/f"),
            "in",
            connections=1,
            progress=lambda done, total: calls.append((done, total)),
        )
    assert {total for _, total in calls} == {len(LARGE)}
    assert 3 < len(calls) < 80
    assert calls == sorted(calls)


def test_without_a_length_the_total_is_unknown() -> None:
    calls: list[tuple[int, int | None]] = []

    def unsized(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(4):
            exchange.send(BODY)
            exchange.wait(0.12)
        exchange.close()

    with origin_of({"/f": unsized}) as server:
        download_file(server.url("/f"), "in", progress=lambda *pair: calls.append(pair))
    assert {total for _, total in calls} == {None}


def test_an_error_in_the_function_ends_the_download(data_dir: Path) -> None:
    def stop(_done: int, _total: int | None) -> None:
        raise RuntimeError("stop")

    with origin_of({"/f": slow}) as server, pytest.raises(RuntimeError, match="stop"):
        download_file(server.url("/f"), "in", progress=stop)
    assert list((data_dir / "in").iterdir()) == []


def test_a_line_is_logged_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "_LINE_EVERY", 0.3)
    caplog.set_level(logging.INFO, "towpath.downloads")
    with origin_of({"/f": slow}) as server:
        download_file(server.url("/f?token=s3cret"), "in", connections=1, progress="log")
    lines = [record for record in caplog.records if record.message == "downloading"]
    assert lines
    assert lines[0].file == "f"
    assert lines[0].of == len(LARGE)
    assert "s3cret" not in caplog.text


CODE = """
import sys, logging
from towpath.downloads import progress
progress._LINE_EVERY = 0.3
from towpath.toolkit import download_file
download_file(sys.argv[1], "in", allow_hosts=["127.0.0.1"], connections=1)
print("done", "rich" in sys.modules)
"""


def run(url: str, data_dir: Path, stderr: int) -> str:
    data_dir.parent.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", CODE, url],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
        env={"TOWPATH_DATA_DIR": str(data_dir), "PATH": "/usr/bin:/bin", "TERM": "xterm"},
        cwd=data_dir.parent,
    )
    return done.stdout.strip()


def test_a_terminal_has_a_bar_and_a_pipe_has_lines(data_dir: Path) -> None:
    with origin_of({"/f": slow}) as server:
        main, side = pty.openpty()
        assert run(server.url("/f"), data_dir / "one", side) == "done True"
        os.close(side)
        shown = os.read(main, 100_000).decode(errors="replace")
        os.close(main)
        assert "MiB" in shown
        reader, writer = os.pipe()
        assert run(server.url("/f"), data_dir / "two", writer) == "done False"
        os.close(writer)
        with os.fdopen(reader) as lines:
            assert lines.read().startswith("downloading f: ")
