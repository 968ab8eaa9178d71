"""Log lines that strangers cannot forge, and outputs that are closed, full or slow (trust T34, T47)."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.support.command import Command, wait_until, write

from towpath.cli.logs import JsonFormatter, TextFormatter, visible
from towpath.cli.outlet import Outlet
from towpath.engine.output import log_output
from towpath.engine.pipes import Event, Pipes

NOISY = r"""
    import logging, os, threading
    import towpath
    print("loading \x1b[31mred")

    class Noisy(towpath.App):
        @towpath.endpoint("/")
        def run(self, text: str) -> str:
            print(text)
            logging.warning("warned %s", text)
            os.write(1, b"native \xff\x00\x1b[2J\n")
            os.write(2, b"10%\r50%\r100%\n")
            return text
"""


def record(message: str, name: str = "towpath", **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": name, "msg": message, "levelname": "INFO", "created": 0, **fields}
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode", "plain text, ünïcode"),
        ("a\tb", "a\tb"),
        ("a\nb", "a\\nb"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_visible_in_every_part_of_a_line(text: str, shown: str) -> None:
    assert visible(text) == shown
    for line in (
        record(text),
        record("said", path=text),
        record(text, "towpath.apps", app="local/a", pid=1, source="stdout", request_id=""),
    ):
        in_text = TextFormatter().format(line)
        assert "\n" not in in_text
        assert not set(in_text) & set("\x1b\x9b\x07\x00\r\u202e\u2028")
        in_json = JsonFormatter().format(line)
        assert "\n" not in in_json
        assert "\x1b" not in in_json
        assert text in json.loads(in_json).values()


def test_a_field_cannot_forge_another_field() -> None:
    line = TextFormatter().format(record("request finished", path="/x  status=200", status=404))
    assert 'path="/x  status=200"  status=404' in line


def test_the_lines_of_a_traceback_cannot_look_like_lines_of_the_log() -> None:
    try:
        int("a\n12:00:00 info forged\x1b")
    except ValueError as error:
        error.add_note("12:00:00 info forged")
        line = TextFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "forged" in line
    assert all(each.startswith("    ") for each in line.splitlines()[1:])
    assert "\x1b" not in line


@contextmanager
def descriptor(number: int, path: str, flags: int) -> Iterator[None]:
    """Have a standard descriptor be something else while the block runs."""
    kept, other = os.dup(number), os.open(path, flags)
    os.dup2(other, number)
    os.close(other)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def test_a_full_output_costs_its_own_lines_only(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with (
        descriptor(1, str(file), os.O_WRONLY | os.O_CREAT),
        descriptor(2, "/dev/full", os.O_WRONLY),
    ):
        outlet = Outlet()
        for number in range(3):
            outlet.say(f"err {number}", "err")
            outlet.say(f"out {number}", "out")
        outlet.close()
    assert file.read_text() == "out 0\nout 1\nout 2\n"


def test_an_output_that_nobody_reads_stops_nobody_and_its_loss_is_counted(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with descriptor(2, f"/proc/self/fd/{write_end}", os.O_WRONLY):
        os.close(write_end)
        outlet = Outlet(most_bytes=200_000)
        for number in range(20_000):
            outlet.say(f"{number:>60}")
        got = b""
        while b"dropped" not in got:
            got += os.read(read_end, 65536)
            outlet.say("more")
    outlet.close()
    os.close(read_end)
    assert b"lines were dropped: the output was too slow" in got


def test_a_reader_that_has_gone_is_forgotten() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with descriptor(2, f"/proc/self/fd/{write_end}", os.O_WRONLY):
        outlet = Outlet()
        outlet.say("to nobody")
        outlet.close()
        outlet.say("after the end")
    os.close(write_end)


def test_what_an_app_prints_is_a_record_with_app_process_request_and_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for level, source, word in (
        ("STDOUT", "stdout", "info"),
        ("STDERR", "stderr", "info"),
        ("WARN", "log", "warning"),
        ("ERROR", "log", "error"),
    ):
        with caplog.at_level(logging.DEBUG, "towpath.apps"):
            caplog.clear()
            log_output("local/a", 71, Event("log", "id-1", level, "hello", 5.0))
        said = json.loads(JsonFormatter().format(caplog.records[0]))
        assert (said["app"], said["pid"], said["request_id"]) == ("local/a", 71, "id-1")
        assert (said["source"], said["level"], said["message"]) == (source, word, "hello")
        assert said["time"].startswith("1970-01-01T00:00:05")


def test_bytes_that_are_no_text_and_lines_drawn_over_are_readable() -> None:
    events: list[Event] = []
    pipes = Pipes(events.append, lambda: 1.0)
    ends = pipes.open()
    pipes.start()
    os.write(ends.out, b"\xff\xfe\n10%\r50%\r100%\r\nlast")
    ends.close()
    assert pipes.tail().splitlines() == ["\ufffd\ufffd", "100%", "last"]
    said = [event.message for event in events if event.kind == "log"]
    assert said == ["\ufffd\ufffd", "100%", "last"]


@pytest.mark.parametrize("redirect", ["2>&1 | head -2", "2>/dev/full >&2", ">&- 2>&-"])
def test_a_closed_or_full_output_changes_nothing_of_what_the_server_does(
    tmp_path: Path, redirect: str
) -> None:
    """trust T34: the first SIGTERM ends a server whose output nobody reads."""
    write(tmp_path, "noisy.py", NOISY)
    ends, state = tmp_path / "ends", tmp_path / "d" / ".towpath" / "state" / "server.json"
    command = f"{sys.executable} -m towpath run noisy.py --port 0 --data-dir {tmp_path}/d"
    script = f"({command}; echo $? > {ends}) {redirect}"
    with subprocess.Popen(
        ["/bin/sh", "-c", script], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as shell:
        wait_until(state.exists, 60)
        server = json.loads(state.read_text())
        url = server["address"]
        wait_until(lambda: httpx2.get(f"{url}/ready").status_code == 200, 60)
        answer = httpx2.post(f"{url}/local/noisy", json={"text": "hello"})
        assert answer.json() == "hello"
        os.kill(server["pid"], signal.SIGTERM)
        shell.wait(60)
    assert ends.read_text() == "0\n"


def test_the_log_of_a_server_is_one_json_object_a_line_whatever_apps_print(tmp_path: Path) -> None:
    """trust T47"""
    app = write(tmp_path, "noisy.py", NOISY)
    env = {"TOWPATH_LOG_FORMAT": "json"}
    text = "x\n12:00:00 info forged\x1b]0;title\x07"
    with Command(app, "--port", "0", "--data-dir", str(tmp_path / "d"), env=env) as server:
        server.wait_for("ready in")
        httpx2.post(f"{server.url}/local/noisy", json={"text": text})
        server.wait_for("100%")
        server.send(signal.SIGTERM)
        assert server.finish() == 0
    assert "\x1b" not in server.output
    printed = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    said = [line for line in printed if line["logger"] == "towpath.apps"]
    assert {"app", "pid", "source", "request_id"} <= said[0].keys()
    by_message = {line["message"]: line for line in said}
    assert by_message["loading \x1b[31mred"]["source"] == "stdout"
    assert by_message["12:00:00 info forged\x1b]0;title\x07"]["request_id"]
    assert by_message["100%"]["source"] == "stderr"
    assert any(line["level"] == "warning" and line["source"] == "log" for line in said)
    [native] = [line for line in said if line["message"].startswith("native")]
    assert native["message"] == "native \ufffd\x00\x1b[2J"
