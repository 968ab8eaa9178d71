"""Why an endpoint failed: the operator reads all of it, its caller that it did."""

import logging
from collections.abc import Iterator
from textwrap import dedent

import httpx2
import pytest
from tests.support.command import wait_until
from tests.support.queued import submit, until

from towpath.testing import Server, serve

TOKEN = "a-token-of-the-operator"
OPERATOR = {"authorization": f"Bearer {TOKEN}"}
CODE = """
    import time
    import towpath

    class Inner(towpath.App, request_timeout=1, termination_grace_period_seconds=1):
        @towpath.endpoint("/")
        def run(self) -> str:
            print("said by the app")
            raise ValueError("secret /inner/path")

        @towpath.endpoint("/slow")
        def slow(self) -> str:
            time.sleep(5)
            return ""
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("app") / "inner.py"
    file.write_text(dedent(CODE))
    with serve(str(file), store_reserve=0, admin_token=TOKEN) as own:
        yield own


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "towpath.apps"]


def test_a_queued_callers_log_has_no_traceback(server: Server) -> None:
    """Whoever knows a request's id reads its log: paths and values of the author were in it."""
    given = submit(server.url, "inner")
    until(given, "COMPLETED")
    status = httpx2.get(given["status_url"], params={"logs": 1})
    events = httpx2.get(given["status_url"] + "/stream", params={"logs": 1})
    told = [line["message"] for line in status.json()["logs"]]
    assert told == ["said by the app", "Endpoint / failed; the server's log says why."]
    for answer in (status, events, httpx2.get(given["response_url"])):
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        assert "inner.py" not in answer.text


def test_the_operators_view_of_it_has_the_authors_lines(server: Server) -> None:
    given = submit(server.url, "inner")
    until(given, "COMPLETED")
    path = f"{server.url}/admin/requests/{given['request_id']}/logs"
    found = httpx2.get(path, headers=OPERATOR).json()["items"]
    told = [(line["level"], line["message"]) for line in found]
    assert ("ERROR", "ValueError: secret /inner/path") in told
    assert any('inner.py", line 9, in run' in message for _, message in told)
    assert not any("starlette" in message or "fastapi" in message for _, message in told)


def test_who_is_the_operator_reads_it_in_the_status_too(server: Server) -> None:
    """So the Playground shows why, on a machine of one's own."""
    given = submit(server.url, "inner")
    until(given, "COMPLETED")
    answer = httpx2.get(given["status_url"], params={"logs": 1}, headers=OPERATOR)
    told = [(line["level"], line["message"]) for line in answer.json()["logs"]]
    assert ("ERROR", "ValueError: secret /inner/path") in told


def test_the_servers_log_has_them_under_the_requests_id(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = httpx2.post(f"{server.url}/local/inner", json={})
        wait_until(lambda: "secret" in caplog.text)
    assert answer.status_code == 500
    records = [each for each in caplog.records if each.name == "towpath.apps"]
    [*_, last] = [each for each in records if "secret" in each.getMessage()]
    assert last.levelno == logging.ERROR
    assert last.request_id == answer.headers["x-fal-request-id"]


def test_a_call_over_its_time_is_one_sentence(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It was a traceback of our own frames."""
    with caplog.at_level(logging.INFO):
        assert httpx2.post(f"{server.url}/local/inner/slow", json={}, timeout=30).status_code == 504
        wait_until(lambda: "did not finish" in caplog.text)
    told = lines_of(caplog)
    assert "Endpoint /slow failed:" in told
    assert any("1 s" in line for line in told)
    assert not any("Traceback" in line for line in told)
