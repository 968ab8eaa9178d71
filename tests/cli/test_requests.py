"""`towpath requests` against a running server."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.queued import result, submit, until

from towpath.errors import SettingsError
from towpath.net.operator import OperatorClient
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
    head, row = line.splitlines()
    assert row[head.index("OUTCOME") :] == "ok 200", "columns are aligned"
    assert row[head.index("APP  ") :].startswith("local/busy/logs")
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


def of_folder(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "towpath", "requests", "ls", "-q"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TOWPATH_STATE_DIR": str(folder), "TOWPATH_ADMIN_TOKEN": TOKEN, **env},
    )


def test_the_server_of_the_state_folder_is_asked_and_not_the_public_url(tmp_path: Path) -> None:
    """The token of the operator is not sent to a name that others may answer for (trust T55)."""
    public = "https://files.example.invalid/path"
    state = tmp_path / "state"
    with serve(
        APP, store_reserve=0, admin_token=TOKEN, state_dir=state, public_url=public
    ) as running:
        asked = of_folder(state, TOWPATH_PUBLIC_URL=public)
        assert (asked.returncode, asked.stderr) == (0, "no requests\n")
        assert stat.S_IMODE((state / "server.json").stat().st_mode) == 0o600
        kept = (state / "server.json").read_text()
        assert json.loads(kept)["local_address"].startswith("http://127.0.0.1:")
        del running
    for _ in ("it ended", "it was killed, and its note is still there"):
        asked = of_folder(state, TOWPATH_PUBLIC_URL=public)
        assert asked.returncode == 2
        assert asked.stderr.startswith(f"No server runs on {state}. Set TOWPATH_DATA_DIR")
        assert "--server" in asked.stderr
        (state / "server.json").write_text(kept)


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("http://127.0.0.1:1", "it cannot be reached (Connect call failed"),
        ("nonsense", "this is no http address"),
    ],
)
def test_a_server_that_does_not_answer_is_named_with_the_reason(server: str, reason: str) -> None:
    async def ask() -> None:
        async with OperatorClient(server, None) as client:
            await client.ask("GET", "/admin/requests")

    with pytest.raises(SettingsError) as failed:
        asyncio.run(ask())
    assert f"{server} does not answer as a towpath server: {reason}" in str(failed.value)
    assert "Error" not in str(failed.value), "no class names"
