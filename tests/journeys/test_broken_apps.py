"""Good apps beside broken ones: what callers, operators and load balancers are told."""

from collections.abc import Iterator

import httpx2
import pytest
from tests.support.command import Command, wait_until, write

GOOD = """
    import towpath
    class Good(towpath.App):
        @towpath.endpoint("/")
        def run(self, text: str = "") -> str:
            return text
"""
FAILING = """
    import towpath
    class Failing(towpath.App):
        startup_timeout = 2
        def setup(self):
            raise RuntimeError("the weights are missing")
        @towpath.endpoint("/")
        def run(self) -> str:
            return ""
"""
BROKEN = """
    import towpath
    class Broken(towpath.App):
        @towpath.endpoint("predict")
        def run(self) -> str:
            return ""
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("apps")
    files = [write(folder, f"{name}.py", code) for name, code in
             (("good", GOOD), ("failing", FAILING), ("broken", BROKEN))]  # fmt: skip
    flags = ("--port", "0", "--data-dir", str(folder / "d"))
    env = {"TOWPATH_LOG_FORMAT": "json", "TOWPATH_STORE_RESERVE": "0"}
    with Command(*files, *flags, env=env) as server:
        server.wait_for("apps ready after", 90)
        yield server


def test_the_command_tells_which_apps_it_serves(server: Command) -> None:
    """trust T44"""
    assert "1 of 3 apps ready after" in server.output
    assert "could not start: failing; tried again and again" in server.output
    assert "cannot be loaded: broken; the log says why" in server.output
    assert "broken.py, line 4: Endpoint path 'predict' cannot be served" in server.output


def test_the_others_are_served_and_ready_tells_each(server: Command) -> None:
    """trust T44, T45: one broken app takes no good one out."""
    assert httpx2.post(f"{server.url}/local/good", json={"text": "x"}).json() == "x"
    assert httpx2.get(f"{server.url}/health").status_code == 200
    answer = httpx2.get(f"{server.url}/ready")
    assert answer.status_code == 200
    apps = answer.json()["apps"]
    assert apps["local/good"] == "ready"
    assert apps["local/broken"] == "stopped"
    assert apps["local/failing"] in {"backoff", "starting"}


def test_callers_are_told_that_it_cannot_start_and_the_operator_why(server: Command) -> None:
    """trust T44"""
    answer = httpx2.post(f"{server.url}/local/broken", json={})
    assert answer.status_code == 503
    assert "cannot be loaded" in answer.json()["detail"]
    assert "predict" not in answer.text
    apps = httpx2.get(f"{server.url}/admin/status").json()["apps"]
    assert "Endpoint path 'predict' cannot be served" in apps["local/broken"]["failure"]
    assert apps["local/failing"]["failure"], "its setup raises, or takes too long"
    assert httpx2.post(f"{server.url}/local/made-up", json={}).status_code == 404


def test_a_queued_request_says_why_it_waits_and_ends_when_the_start_took_too_long(
    server: Command,
) -> None:
    """trust T45"""
    sent = httpx2.post(f"{server.url}/queue/local/failing", json={}).json()
    words = set()

    def done() -> bool:
        said = httpx2.get(sent["status_url"]).json()
        words.add(said.get("waiting_for"))
        return said["status"] == "COMPLETED"

    wait_until(done, 60)
    words.discard(None)
    assert words
    assert words <= {"the app, which cannot start; it is tried again", "the app, which is starting"}
    answer = httpx2.get(sent["response_url"])
    assert answer.status_code == 504
    assert answer.json()["error_type"] == "startup_timeout"
    assert "2 s" in answer.json()["detail"]


def test_ready_may_ask_for_all_apps(tmp_path) -> None:
    """trust T45"""
    files = [write(tmp_path, "good.py", GOOD), write(tmp_path, "broken.py", BROKEN)]
    flags = ("--port", "0", "--data-dir", str(tmp_path / "d"))
    with Command(*files, *flags, env={"TOWPATH_READY": "all"}) as server:
        server.wait_for("1 of 2 apps ready", 90)
        answer = httpx2.get(f"{server.url}/ready")
        assert answer.status_code == 503
        assert answer.json()["apps"] == {"local/good": "ready", "local/broken": "stopped"}
