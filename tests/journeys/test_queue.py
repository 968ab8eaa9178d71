"""The queue over HTTP, on a real server with real runners."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.support.queued import result, status, submit, until

from towpath.testing import Server, serve

APP = str(Path(__file__).parents[1] / "support" / "queue_app.py")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(APP, store_reserve=0, queue_max_length=2000) as running:
        yield running


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    return server.url


def test_a_request_is_taken_worked_on_and_answered_verbatim(url: str) -> None:
    given = submit(url, "busy", {"name": "a"})
    assert given["status"] == "IN_QUEUE"
    assert given["queue_position"] == 0
    base = f"{url}/queue/local/busy/requests/{given['request_id']}"
    assert given["response_url"] == base
    assert (given["status_url"], given["cancel_url"]) == (f"{base}/status", f"{base}/cancel")
    done = until(given, "COMPLETED")
    assert done["logs"] == []
    assert done["metrics"]["inference_time"] >= 0
    assert "error" not in done
    answer = httpx2.get(base)
    assert answer.json()["name"] == "a"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-fal-request-id"] == given["request_id"]
    assert httpx2.get(f"{base}/").json() == answer.json()
    assert httpx2.get(f"{base}/status/").status_code == 200


def test_a_status_is_202_until_it_is_done(url: str) -> None:
    given = submit(url, "busy", {"seconds": 1})
    until(given, "IN_PROGRESS")
    answer = httpx2.get(given["status_url"])
    assert answer.status_code == 202
    assert answer.json()["logs"] is None
    early = httpx2.get(given["response_url"])
    assert early.status_code == 400
    assert "in progress" in early.json()["detail"]
    until(given, "COMPLETED")
    assert httpx2.get(given["status_url"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code", "detail"),
    [
        ("busy", {"seconds": "many"}, 422, [{"loc": ["body", "seconds"]}]),
        ("busy/fail", {}, 500, "Internal Server Error"),
        ("busy/status", {"code": 418}, 418, "as asked"),
    ],
)
def test_failures_are_completed_and_answer_with_their_status(url, path, body, code, detail) -> None:
    given = submit(url, path, body)
    done = until(given, "COMPLETED")
    assert done["error"] == f"Invalid status code: {code}"
    answer = httpx2.get(given["response_url"])
    assert answer.status_code == code
    got = answer.json()["detail"]
    if isinstance(detail, str):
        assert got.startswith(detail)
    else:
        assert got[0]["loc"] == detail[0]["loc"]
    assert "secret reason" not in answer.text


def test_an_answer_that_is_too_large_to_be_kept_says_what_to_do(url: str) -> None:
    given = submit(url, "busy/large")
    done = until(given, "COMPLETED")
    assert done["error"].startswith("busy answered with more than 67108864 bytes")
    answer = httpx2.get(given["response_url"])
    assert answer.status_code == 502
    assert "Return a File" in answer.json()["detail"]
    assert httpx2.post(f"{url}/local/busy/large", timeout=30).content == bytes(64 * 2**20 + 1)


def test_what_a_request_writes_is_its_log(url: str) -> None:
    given = submit(url, "busy/logs")
    assert result(given).json() == [given["request_id"]] * 2
    done = status(given)
    lines = {line["message"]: line for line in done["logs"]}
    expected = {
        "from print": "STDOUT",
        "from stderr": "STDERR",
        "from logging": "WARN",
        "from native": "STDERR",
        "from a thread": "STDOUT",
        "from an executor": "STDOUT",
        "half": "STDOUT",
    }
    assert {name: lines[name]["level"] for name in expected} == expected
    assert all(line["source"] == "USER" for line in lines.values())
    assert lines["from print"]["timestamp"].endswith("+00:00")
    assert done["progress"] == {"done": 3, "total": 3, "message": "all", "preview": None}


def test_logs_of_requests_that_run_at_once_are_kept_apart(url: str) -> None:
    given = [submit(url, "busy/logs") for _ in range(4)]
    for each in given:
        result(each)
        messages = [line["message"] for line in status(each)["logs"]]
        assert messages.count("from print") == 1
        assert messages.count("from a thread") == 1


@pytest.mark.parametrize("path", ["flood", "native-flood"])
def test_a_flood_of_output_is_capped_and_stops_nothing(url: str, path: str) -> None:
    given = submit(url, f"busy/{path}", {"megabytes": 5})
    assert result(given, 60).json() == 5
    lines = status(given)["logs"]
    assert sum(len(line["message"]) + 1 for line in lines) < 2**20 + 20_000
    assert "the rest of this log is dropped" in lines[-1]["message"]


def test_a_stream_that_the_app_replaces_is_its_own(url: str) -> None:
    assert result(submit(url, "busy/replaced")).json() == "into their own\n"


def test_events_tell_every_change_and_new_lines_only(url: str) -> None:
    given = submit(url, "busy/logs")
    with httpx2.stream("GET", f"{given['status_url']}/stream?logs=1", timeout=30) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert events[-1]["status"] == "COMPLETED"
    messages = [line["message"] for event in events for line in event.get("logs") or []]
    assert messages.count("from print") == 1
    assert messages.count("half") == 1


def test_an_endless_wait_is_commented_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towpath.gateway.queue_routes._COMMENT_SECONDS", 0.3)
    given = submit(url, "busy/async", {"seconds": 2})
    with httpx2.stream("GET", f"{given['status_url']}/stream", timeout=30) as stream:
        lines = list(stream.iter_lines())
    assert ": waiting" in lines


def test_the_answer_of_a_stream_is_kept_whole(url: str) -> None:
    answer = result(submit(url, "busy/stream", {"count": 3}))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == 'data: {"n":0}\n\ndata: {"n":1}\n\ndata: {"n":2}\n\n'


def test_a_file_is_in_the_store_when_the_request_is_done(url: str) -> None:
    file = result(submit(url, "busy/file", {"text": "hello"})).json()
    assert httpx2.get(file["url"]).text == "hello"


def test_headers_reach_the_app_and_secrets_do_not(url: str) -> None:
    sent = {
        "X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 60}',
        "Authorization": "Key a:b",
        "Cookie": "a=b",
        "X-Towpath-Traced": "0",
    }
    given = submit(url, "busy/headers", headers=sent)
    got = result(given).json()
    assert got["x-fal-request-id"] == given["request_id"]
    assert got["x-fal-endpoint"] == "local/busy/headers"
    assert got["x-fal-object-lifecycle-preference"] == '{"expiration_duration_seconds": 60}'
    assert not {"authorization", "cookie"} & got.keys()
    file = result(submit(url, "busy/file", {"text": "x"}, headers=sent)).json()
    assert file["expires_at"] is not None


# --- cancelling ---


@pytest.mark.parametrize(
    ("path", "word"),
    [("async", "cancelled"), ("loop", "interrupted"), ("hooked", "asked by its hook")],
)
def test_cancelling_stops_code_that_runs(url: str, path: str, word: str) -> None:
    name = f"name-{path}"
    given = submit(url, f"busy/{path}", {"seconds": 60, "name": name})
    until(given, "IN_PROGRESS")
    time.sleep(0.2)
    began = time.monotonic()
    answer = httpx2.put(given["cancel_url"])
    assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    done = until(given, "COMPLETED")
    assert done["error_type"] == "client_cancelled"
    assert httpx2.get(given["response_url"]).status_code == 499
    while httpx2.post(f"{url}/local/busy/stopped", timeout=30).json() != f"{name} {word}":
        assert time.monotonic() - began < 5
        time.sleep(0.02)


def test_cancelling_what_waits_takes_it_out_of_the_line(url: str) -> None:
    busy = [submit(url, "single", {"seconds": 1}) for _ in range(2)]
    waiting = submit(url, "single", {"name": "never"})
    answer = httpx2.put(waiting["cancel_url"])
    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})
    again = httpx2.put(waiting["cancel_url"])
    assert again.status_code == 400
    assert again.json()["status"] == "ALREADY_COMPLETED"
    assert httpx2.get(waiting["response_url"]).json()["error_type"] == "client_cancelled"
    for each in busy:
        result(each)


def test_unknown_requests_are_404(url: str) -> None:
    base = f"{url}/queue/local/busy/requests/00000000-0000-0000-0000-000000000000"
    for path in ("", "/status", "/status/stream"):
        assert httpx2.get(base + path).status_code == 404
    answer = httpx2.put(f"{base}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (404, "NOT_FOUND")
    given = submit(url, "busy")
    other = given["status_url"].replace("/busy/", "/single/")
    assert httpx2.get(other).status_code == 404
    assert httpx2.post(f"{url}/queue/local/nobody", json={}).status_code == 404
    assert httpx2.post(f"{url}/queue/other/busy", json={}).status_code == 404


# --- order, repetition, limits ---


def test_low_priority_waits_for_all_others_and_positions_are_told(url: str) -> None:
    first = submit(url, "single", {"seconds": 1.9})
    until(first, "IN_PROGRESS")
    low = submit(url, "single", {"name": "low"}, headers={"X-Fal-Queue-Priority": "low"})
    high = submit(url, "single", {"name": "high"}, headers={"X-Fal-Queue-Priority": "normal"})
    assert (status(high)["queue_position"], status(low)["queue_position"]) == (0, 1)
    result(low)
    assert status(high)["status"] == "COMPLETED"


def test_the_same_idempotency_key_is_the_same_request(url: str) -> None:
    headers = {"Idempotency-Key": "once"}
    found = set()

    def call() -> None:
        found.add(submit(url, "busy", {"seconds": 0.2}, headers=headers)["request_id"])

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    long = httpx2.post(f"{url}/queue/local/busy", json={}, headers={"Idempotency-Key": "x" * 300})
    assert long.status_code == 400


def test_a_line_has_a_length(url: str) -> None:
    busy = [submit(url, "single", {"seconds": 0.5}) for _ in range(3)]
    answer = httpx2.post(f"{url}/queue/local/single?fal_max_queue_length=1", json={})
    assert answer.status_code == 429
    assert "limit is 1" in answer.json()["detail"]
    assert (
        httpx2.post(f"{url}/queue/local/single?fal_max_queue_length=x", json={}).status_code == 400
    )
    for each in busy:
        result(each)


def test_webhooks_are_refused_and_not_forgotten(url: str) -> None:
    answer = httpx2.post(f"{url}/queue/local/busy?fal_webhook=http://x.test/", json={})
    assert answer.status_code == 501


def test_who_is_not_started_in_time_is_a_504_of_the_callers(url: str) -> None:
    busy = [submit(url, "single", {"seconds": 1.8}) for _ in range(2)]
    late = submit(url, "single", headers={"X-Fal-Request-Timeout": "0.5"})
    done = until(late, "COMPLETED")
    assert done["error_type"] == "request_timeout"
    answer = httpx2.get(late["response_url"])
    assert answer.status_code == 504
    assert answer.headers["x-fal-request-timeout-type"] == "user"
    for each in busy:
        result(each)


@pytest.mark.parametrize(
    ("body", "headers", "calls"),
    [
        ({"code": 504}, {}, 10),
        ({"code": 504}, {"X-Fal-No-Retry": "1"}, 1),
        ({"code": 504, "needs_retry": "0"}, {}, 1),
        ({"code": 500}, {}, 1),
        ({"code": 502}, {}, 1),
        pytest.param({"code": 500, "needs_retry": "1"}, {}, 10, marks=pytest.mark.slow),
    ],
)
def test_retries_follow_the_rules(server: Server, body, headers, calls, monkeypatch) -> None:
    monkeypatch.setattr("towpath.gateway.attempts.retry_delay", lambda tries, spread: 0.01)
    counted = Path(server.running.settings.data_dir) / "calls"
    counted.unlink(missing_ok=True)
    given = submit(server.url, "busy/status", body, headers=headers)
    assert result(given, 60).status_code == body["code"]
    assert len(counted.read_text().splitlines()) == calls


@pytest.mark.parametrize("kind", ["host", "gpu"])
def test_what_there_is_no_memory_for_is_tried_twice_on_fresh_runners(url: str, kind: str) -> None:
    before = httpx2.post(f"{url}/local/busy", json={}).json()["pid"]
    given = submit(url, "busy/memory", {"kind": kind})
    done = until(given, "COMPLETED", 60)
    assert done["error_type"] == "oom"
    assert httpx2.get(given["response_url"]).status_code == 503
    after = httpx2.post(f"{url}/local/busy", json={}, timeout=30).json()["pid"]
    assert after != before


# --- batches ---


def test_calls_that_come_together_are_one_batch(url: str) -> None:
    given = [submit(url, "busy/batch", {"n": number}) for number in range(4)]
    answers = [result(each).json() for each in given]
    assert [answer["n"] for answer in answers] == [0, 1, 2, 3]
    assert max(answer["of"] for answer in answers) > 1
    wrong = httpx2.post(f"{url}/local/busy/batch", json={"n": -1})
    assert wrong.status_code == 422
    assert wrong.json()["detail"][0]["loc"] == ["body", "n"]
    document = httpx2.get(f"{url}/local/busy/openapi.json").json()
    assert document["paths"]["/batch"]["post"]["requestBody"]
    assert httpx2.post(f"{url}/local/busy/batch", json={"n": "x"}).status_code == 422


# --- operators ---


def test_operators_list_look_at_and_repeat_requests(url: str) -> None:
    given = submit(url, "busy/logs")
    result(given)
    page = httpx2.get(f"{url}/admin/requests?app=local/busy&status=done&limit=1").json()
    assert page["items"][0]["request_id"] == given["request_id"]
    assert page["next_cursor"]
    one = httpx2.get(f"{url}/admin/requests/{given['request_id']}").json()
    assert (one["app"], one["path"], one["outcome"]) == ("local/busy", "/logs", "ok")
    logs = httpx2.get(f"{url}/admin/requests/{given['request_id']}/logs").json()["items"]
    assert "from print" in [line["message"] for line in logs]
    again = httpx2.post(f"{url}/admin/requests/{given['request_id']}/rerun").json()
    assert again["request_id"] != given["request_id"]
    assert result(again).json() == [again["request_id"]] * 2
    whole = httpx2.get(f"{url}/admin/status").json()
    assert whole["apps"]["local/busy"]["state"] == "ready"
    assert set(whole) >= {"apps", "queue", "storage", "recent_errors"}
    for wrong in ("status=odd", "limit=x", "limit=0", "cursor=x"):
        assert httpx2.get(f"{url}/admin/requests?{wrong}").status_code == 400
    assert httpx2.get(f"{url}/admin/requests/none").status_code == 404


def test_counts_are_exposed(url: str) -> None:
    text = httpx2.get(f"{url}/metrics").text
    assert 'towpath_runners{app="busy",state="idle"}' in text


def test_a_client_with_a_host_for_the_queue_finds_it(url: str) -> None:
    answer = httpx2.post(f"{url}/local/busy", json={}, headers={"Host": "queue.localhost"})
    assert answer.json()["status"] == "IN_QUEUE"


def test_what_is_between_server_and_runner_is_not_for_callers(url: str) -> None:
    answer = httpx2.get(f"{url}/local/busy/-/requests/x")
    assert answer.status_code == 404


def test_keys_close_the_queue_too() -> None:
    with serve(APP, store_reserve=0, keys="me:secret", scale_to_zero=True) as locked:
        for path in ("local/busy", "local/health", "local/busy/requests/x/status"):
            method = "GET" if "status" in path else "POST"
            assert httpx2.request(method, f"{locked.url}/queue/{path}").status_code == 401
        headers = {"Authorization": "Key me:secret"}
        assert "request_id" in submit(locked.url, "busy", headers=headers)
