"""What apps say by headers, by failing late, and in texts that cannot be written."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.support.command import wait_until, write
from tests.support.queued import result, submit, until

from towpath.runner.wire import STEERING
from towpath.testing import Server, serve

CODE = """
    import os
    from pathlib import Path
    import towpath
    from starlette.responses import JSONResponse, StreamingResponse
    class Odd(towpath.App, max_multiplexing=4, termination_grace_period_seconds=1):
        def tried(self):
            with Path(os.environ["TOWPATH_DATA_DIR"], "tries").open("a") as tries:
                tries.write(towpath.current_request().request_id + "\\n")
        @towpath.endpoint("/")
        def run(self) -> int:
            return os.getpid()
        @towpath.endpoint("/answer")
        def answer(self, code: int, headers: dict[str, str]):
            self.tried()
            print("try")
            return JSONResponse(os.getpid(), code, headers)
        @towpath.endpoint("/events")
        def events(self, field: str = ""):
            self.tried()
            yield {"n": 1}
            if field:
                raise towpath.InputError("too late", field)
            raise RuntimeError("the secret reason")
        @towpath.endpoint("/bytes")
        def binary(self):
            self.tried()
            def parts():
                yield b"x" * 100_000
                raise RuntimeError("the secret reason")
            return StreamingResponse(parts(), media_type="image/png")
        @towpath.endpoint("/texts")
        def texts(self, fail: bool = False) -> str:
            print("a\\ud800b\\0c", os.fsdecode(b"na\\xefve.png"))
            towpath.progress(1, 2, "\\ud800\\0")
            if fail:
                raise towpath.InputError("bad \\ud800\\0", "prompt")
            return "done"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("odd")
    app = write(folder, "odd.py", CODE)
    with serve(app, data_dir=folder / "data", store_reserve=0) as running:
        yield running


def tries(server: Server, given: dict) -> int:
    path = Path(server.running.settings.data_dir, "tries")
    return path.read_text().split().count(given["request_id"])


def pid(server: Server) -> int:
    found: int = httpx2.post(f"{server.url}/local/odd", timeout=30).json()
    return found


@pytest.mark.parametrize("path", ["events", "bytes"])
def test_an_app_that_fails_after_it_began_to_answer_is_tried_once(server: Server, path) -> None:
    """trust T41: the runner says so, and did not stop."""
    before = pid(server)
    given = submit(server.url, f"odd/{path}")
    answer = result(given)
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})
    assert tries(server, given) == 1
    assert pid(server) == before
    lines = [line["message"] for line in until(given, "COMPLETED")["logs"]]
    assert any("the secret reason" in line for line in lines)


def test_a_late_error_of_the_callers_is_told_as_one(server: Server) -> None:
    """trust T41."""
    answer = result(submit(server.url, "odd/events", {"field": "prompt"}))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "prompt"]


def test_a_stream_that_fails_ends_with_an_error_event(server: Server) -> None:
    """trust T41: and its connection ends well; a picture's does not."""
    url = f"{server.url}/local/odd"
    answer = httpx2.post(f"{url}/events", json={}, timeout=30)
    first, last, rest = answer.text.split("\n\n")
    assert (first, rest) == ('data: {"n":1}', "")
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2]) == {"detail": "Internal Server Error"}
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.post(f"{url}/bytes", json={}, timeout=30)


STEERED = [
    ({"code": 200, "headers": {"x-fal-stop-runner": "1"}}, 1, True),
    ({"code": 200, "headers": {"x-fal-runner-health-check": "true"}}, 1, False),
    ({"code": 200, "headers": {"x-fal-needs-retry": "1"}}, 1, False),
    ({"code": 404, "headers": {"x-fal-needs-retry": "1"}}, 1, False),
    ({"code": 503, "headers": {"x-fal-stop-runner": "0", "x-fal-needs-retry": "0"}}, 1, False),
    ({"code": 503, "headers": {"x-fal-stop-runner": "false", "x-fal-no-retry": "1"}}, 1, False),
]


@pytest.mark.parametrize(("body", "count", "is_replaced"), STEERED)
def test_answers_steer_the_server_and_callers_see_nothing_of_it(
    server: Server, body, count, is_replaced
) -> None:
    """promises R13, R14, N22: for direct and queued calls."""
    url = f"{server.url}/local/odd/answer"
    for ask in ("direct", "queued"):
        before = pid(server)
        if ask == "direct":
            answer = httpx2.post(url, json=body, timeout=30)
        else:
            given = submit(server.url, "odd/answer", body)
            answer = result(given)
            assert tries(server, given) == count
        assert (answer.status_code, answer.json()) == (body["code"], before)
        assert not set(answer.headers) & STEERING
        if is_replaced:
            wait_until(lambda before=before: pid(server) != before)
        else:
            assert pid(server) == before


def test_a_request_says_how_often_it_is_tried(server: Server) -> None:
    """trust T32, T33, promises R11: three tries, each with its line and its number."""
    headers = {"X-Fal-Retry-Config": '{"server_error": {"retries": 2}}'}
    body = {"code": 503, "headers": {"x-fal-stop-runner": "0"}}
    given = submit(server.url, "odd/answer", body, headers=headers)
    assert result(given).status_code == 503
    assert tries(server, given) == 3
    lines = [line for line in until(given, "COMPLETED")["logs"] if line["message"] == "try"]
    assert [line["attempt"] for line in lines] == [1, 2, 3]


def test_texts_that_cannot_be_written_strand_nothing(server: Server) -> None:
    """trust T40."""
    good = submit(server.url, "odd/texts")
    done = until(good, "COMPLETED")
    assert [line["message"] for line in done["logs"]] == ["a\ufffdb\ufffdc na\ufffdve.png"]
    assert result(good).json() == "done"
    bad = submit(server.url, "odd/texts", {"fail": True})
    assert until(bad, "COMPLETED")["error"] == "Invalid status code: 422"
    shown = httpx2.get(f"{server.url}/admin/requests/{bad['request_id']}")
    assert shown.json()["progress"]["message"] == "\ufffd\0"


def test_a_runner_whose_socket_is_gone_is_replaced(server: Server) -> None:
    """trust T42: a queued request waits for the next one, and no attempt is counted."""
    before = pid(server)
    pool = server.running.engine._pools["odd"]
    (pool._places.runners[0].child.home / "r.sock").unlink()
    wait_until(lambda: _is_idle(server), 15)
    given = submit(server.url, "odd/answer", {"code": 200, "headers": {}})
    assert result(given, 60).json() != before
    assert tries(server, given) == 1
    assert pid(server) != before


def _is_idle(server: Server) -> bool:
    """Return whether no connection of before is kept."""
    pool = server.running.engine._pools["odd"]
    return all(not runner.child.upstream._connections for runner in pool._places.runners)
