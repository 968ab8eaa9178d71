"""Calls to the queue, as a caller makes them."""

import time
from typing import Any

import httpx2


def submit(url: str, path: str, body: object = None, **more: Any) -> dict[str, Any]:
    """Submit a request to `app/path`; return what the server answers."""
    answer = httpx2.post(f"{url}/queue/local/{path}", json=body if body is not None else {}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(given: dict[str, Any]) -> dict[str, Any]:
    """Return where a request stands, with its logs."""
    return httpx2.get(f"{given['status_url']}?logs=1").json()


def until(given: dict[str, Any], word: str, seconds: float = 30) -> dict[str, Any]:
    """Wait until a request is in the state *word*."""
    end = time.monotonic() + seconds
    while (now := status(given))["status"] != word:
        assert time.monotonic() < end, now
        time.sleep(0.02)
    return now


def result(given: dict[str, Any], seconds: float = 30) -> httpx2.Response:
    """Wait until a request is done; return its answer."""
    until(given, "COMPLETED", seconds)
    return httpx2.get(given["response_url"])
