"""What comes of one attempt at a queued request."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.gateway.test_worker import SPEC

from towpath.engine.engine import RunnerLease
from towpath.gateway import attempts
from towpath.queue.opening import open_queue
from towpath.queue.requests import NewRequest


async def never(*_: object, **__: object) -> Any:
    await asyncio.Event().wait()


def test_a_runner_that_says_nothing_is_over_the_apps_time_and_not_the_callers(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`user` would tell a client that it had asked for too short a time itself."""
    monkeypatch.setattr(attempts, "_SPARE_SECONDS", 0.0)
    queue = open_queue(f"sqlite:///{tmp_path}/queue.db", lambda: 1.0, max_length=10)
    queue.submit(NewRequest("a", "local/a"))
    claim = queue.claim(["local/a"], worker="w", now=1.0)
    assert claim is not None
    lease = SimpleNamespace(begin=lambda _: None, upstream=SimpleNamespace(request=never))
    spec = replace(SPEC, request_timeout=0.01)
    outcome = asyncio.run(attempts.attempt(claim, cast("RunnerLease", lease), spec))
    queue.close()
    assert (outcome.status, outcome.error_type) == (504, "request_timeout")
    assert "x-fal-request-timeout-type" not in {name.lower() for name, _ in outcome.headers}
    assert "0.01 s" in (outcome.error or "")
