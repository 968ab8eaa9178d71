"""What is written down of each request."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from towpath.gateway.metrics import Metrics
from towpath.gateway.tracing import RequestTracer

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/local/echo",
    "client": ("192.0.2.7", 4711),
    "headers": [],
}


def line_of(caplog: pytest.LogCaptureFixture, *messages: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the line of one request that is answered by *messages*."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["caller"] = "me"
        for message in messages:
            await send(message)

    async def drop(message: Any) -> None:
        pass

    with caplog.at_level(logging.INFO, "towpath.requests"):
        asyncio.run(RequestTracer(app, Metrics())(SCOPE | {"state": {}}, drop, drop))
    [record] = [each for each in caplog.records if each.name == "towpath.requests"]
    return vars(record)


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def test_a_line_says_who_called_and_how_much_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    """trust T47"""
    parts = [{"type": "http.response.body", "body": b"four"} for _ in range(2)]
    line = line_of(caplog, start(200), *parts)
    assert (line["address"], line["key"]) == ("192.0.2.7", "me")
    assert (line["status"], line["bytes"], line["error_type"]) == (200, 8, "")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.zerocopysend", "offset": 3, "count": 700},
        {"type": "towpath.splice", "source": SimpleNamespace(begun=b"x" * 100, left=600)},
    ],
)
def test_what_the_kernel_sends_counts(
    caplog: pytest.LogCaptureFixture, message: dict[str, Any]
) -> None:
    """trust T47"""
    assert line_of(caplog, start(200), message)["bytes"] == 700


def test_a_line_names_the_error_of_an_app(caplog: pytest.LogCaptureFixture) -> None:
    """trust T47"""
    line = line_of(caplog, start(503, (b"x-fal-error-type", b"runner_disconnected")))
    assert (line["status"], line["error_type"]) == (503, "runner_disconnected")


def test_a_caller_who_leaves_before_an_answer_is_a_499(caplog: pytest.LogCaptureFixture) -> None:
    assert line_of(caplog)["status"] == 499
