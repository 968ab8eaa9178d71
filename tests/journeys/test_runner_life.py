"""What a runner tells of a request to its end, and where it finds things."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from tests.support.command import Command, write
from tests.support.queued import status, submit, until

from towpath.testing import Server, serve

APP = str(Path(__file__).parents[1] / "support" / "forking_app.py")
SMALL = """
    import os
    from pathlib import Path
    import towpath

    class Small(towpath.App):
        @towpath.endpoint("/")
        def run(self) -> dict:
            return {"key": os.environ.get("APP_KEY", ""), "kept": list(os.environ),
                    "shared": Path(os.environ["TOWPATH_DATA_DIR"], "shared").read_text()}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(APP, store_reserve=0) as running:
        yield running


@pytest.mark.parametrize("path", ["cancelled", "cancelled-async"])
def test_trust_t55_what_is_printed_after_a_cancel_reaches_the_log(
    server: Server, path: str
) -> None:
    """The code has its grace, and may use more of it than a moment."""
    given = submit(server.url, f"forking/{path}", {"seconds": 1.5})
    until(given, "IN_PROGRESS")
    until_said(given, "begun")
    httpx2.put(given["cancel_url"])
    done = until(given, "COMPLETED")
    said = [line["message"] for line in done["logs"]]
    assert said == ["begun", "in except", "late in except", "in finally"]


def until_said(given: dict, words: str) -> None:
    """Wait until a request has printed *words*."""
    while words not in [line["message"] for line in status(given)["logs"] or []]:
        assert status(given)["status"] == "IN_PROGRESS"


def test_trust_t49_a_preview_stays_and_lives_an_hour(server: Server) -> None:
    done = until(submit(server.url, "forking/preview"), "COMPLETED")
    assert done["progress"]["done"] == 2
    preview = done["progress"]["preview"]
    left = datetime.fromisoformat(preview["expires_at"]) - datetime.now(UTC)
    assert 3000 < left.total_seconds() <= 3600
    assert preview["content_type"] == "image/jpeg"
    assert httpx2.get(preview["url"]).status_code == 200


def test_trust_t53_an_endpoint_that_meets_a_full_disk_answers_507(server: Server) -> None:
    answer = httpx2.post(f"{server.url}/local/forking/full", json={}, timeout=30)
    assert answer.status_code == 507
    assert "the server's disk is full. Try again later." in answer.json()["detail"]
    assert "big.bin" not in answer.text


def test_trust_t46_t55_a_runner_finds_what_is_named_from_below_tmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working folder, the file, the data folder and `.env` lie below /tmp, one behind a link."""
    work, apps, real = tmp_path / "work", tmp_path / "apps", tmp_path / "real"
    for folder in (work, apps, real):
        folder.mkdir()
    (tmp_path / "link").symlink_to(real)
    write(apps, "small.py", SMALL)
    (real / "shared").write_text("data")
    (work / ".env").write_text(
        "APP_KEY=of-the-app\nTOWPATH_ADMIN_TOKEN=hidden-hidden-hidden\nTOWPATH_STORE_RESERVE=0\n"
    )
    monkeypatch.chdir(work)
    with Command("../apps/small.py", "--port", "0", "--data-dir", "../link") as own:
        own.wait_for("ready in")
        told = httpx2.post(f"{own.url}/local/small", json={}, timeout=30).json()
    assert (told["key"], told["shared"]) == ("of-the-app", "data")
    assert "TOWPATH_ADMIN_TOKEN" not in told["kept"]
