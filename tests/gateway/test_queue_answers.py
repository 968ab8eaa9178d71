from dataclasses import replace

import pytest

from towpath.gateway.queue_answers import eta_of, status_json, urls_of
from towpath.queue.requests import LogLine, QueuedRequest

WAITING = QueuedRequest(
    *("id", "local/a", "/", "POST", "queued", 3, 100.0, None, None, 0, False),
    *(None, None, None, None, None),
)
RUNNING = replace(WAITING, state="running", position=None, started=110.0)
DONE = replace(RUNNING, state="done", finished=115.5, kind="ok", status=200)


def test_every_state_has_the_keys_that_clients_read() -> None:
    urls = urls_of("http://h", "local/a", "id")
    assert urls["status_url"] == "http://h/queue/local/a/requests/id/status"
    waiting = status_json(WAITING, "http://h", None, None)
    assert waiting["queue_position"] == 3
    assert waiting.items() >= urls.items()
    assert status_json(RUNNING, "http://h", None, None)["logs"] is None
    line = LogLine(0.0, "INFO", "m")
    done = status_json(DONE, "http://h", [line], None)
    assert done["metrics"] == {"inference_time": 5.5}
    assert done["logs"] == [
        {
            "message": "m",
            "level": "INFO",
            "source": "USER",
            "timestamp": "1970-01-01T00:00:00+00:00",
        }
    ]
    assert "error" not in done
    failed = replace(DONE, kind="error", status=500, error="e", error_type="t")
    said = status_json(failed, "http://h", None, None)
    assert (said["error"], said["error_type"]) == ("e", "t")
    cancelled = status_json(replace(DONE, kind="cancelled", error="c"), "http://h", None, None)
    assert cancelled["metrics"] == {"inference_time": None}


@pytest.mark.parametrize(
    ("request_", "usual", "room", "now", "eta"),
    [
        (WAITING, None, 1, 0, None),
        (WAITING, 10.0, 1, 0, 40.0),
        (WAITING, 10.0, 4, 0, 10.0),
        (RUNNING, None, 1, 120, None),
        (RUNNING, 30.0, 1, 120, 20.0),
        (RUNNING, 5.0, 1, 120, 0.0),
        (replace(RUNNING, progress='{"done": 1, "total": 4}'), 99.0, 1, 120, 30.0),
        (replace(RUNNING, progress='{"done": 0, "total": 4}'), None, 1, 120, None),
        (DONE, 5.0, 1, 120, None),
    ],
)
def test_when_it_will_be_done(request_, usual, room, now, eta) -> None:
    assert eta_of(request_, usual, room, now) == eta
