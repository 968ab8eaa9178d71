"""`towpath requests` against a running server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.queued import result, submit, until

from towpath.testing import Server, serve

APP = str(Path(__file__).parents[1] / "support" / "queue_app.py")
TOKEN = "a-token-of-sixteen"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(APP, store_reserve=0, admin_token=TOKEN) as running:
        yield running


def command(server: Server, *words: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "towpath",
            "requests",
            *words,
            "--server",
            server.url,
            "--token",
            token,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_requests_are_listed_shown_and_repeated(server: Server) -> None:
    given = submit(server.url, "busy/logs")
    result(given)
    request_id = given["request_id"]
    line = command(server, "ls", "--app", "local/busy", "--limit", "1").stdout
    assert line.startswith("ID"), "a list has a header (trust T55)"
    assert request_id in line
    assert line.rstrip().endswith("ok 200")
    assert command(server, "ls", "-q", "--status", "done").stdout.splitlines()[0] == request_id
    page = json.loads(command(server, "ls", "--json").stdout)
    assert page["items"][0]["request_id"] == request_id
    shown = command(server, "show", request_id).stdout
    assert "COMPLETED" in shown
    assert json.loads(command(server, "show", request_id, "--json").stdout)["path"] == "/logs"
    logs = command(server, "logs", request_id).stdout
    assert "STDOUT from print" in logs
    again = command(server, "rerun", request_id).stdout.strip()
    assert again != request_id
    followed = command(server, "logs", again, "--follow").stdout
    assert "from print" in followed


def test_requests_are_cancelled(server: Server) -> None:
    given = submit(server.url, "busy/async", {"seconds": 60})
    until(given, "IN_PROGRESS")
    assert command(server, "cancel", given["request_id"]).stdout.strip() == "CANCELLATION_REQUESTED"
    until(given, "COMPLETED")
    over = command(server, "cancel", given["request_id"])
    assert (over.returncode, over.stdout.strip()) == (1, "ALREADY_COMPLETED"), "trust T55"
    assert f"{given['request_id']} is over already" in over.stderr


def test_what_goes_wrong_is_one_sentence(server: Server) -> None:
    unknown = command(server, "show", "nothing")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "404" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    refused = command(server, "ls", token="another-token-here")
    assert "401" in refused.stderr
    assert refused.returncode == 2, "another token is needed"
    away = subprocess.run(
        [sys.executable, "-m", "towpath", "requests", "ls", "--server", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert away.returncode == 2
    assert "--server" in away.stderr
    assert "Traceback" not in away.stderr
