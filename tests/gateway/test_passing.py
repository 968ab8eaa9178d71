"""Which headers of callers reach an app."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.gateway.passing import passed


@pytest.mark.parametrize(
    "name",
    [
        *("x-fal-request-timeout", "x-fal-request-start-timeout", "x-fal-queue-priority"),
        *("x-fal-runner-hint", "x-fal-no-retry", "x-fal-retry-config", "x-fal-store-io"),
        *("x-fal-object-lifecycle-preference", "x-fal-object-lifecycle", "x-fal-file-name"),
        *("x-app-fal-disable-fallback", "x-app-fal-upload-policy", "traceparent", "x-my-trace"),
        *("content-type", "accept", "user-agent", "x-false", "x-towpathology"),
    ],
)
def test_what_callers_may_send_arrives(name: str) -> None:
    assert passed([(name, "v")]) == [(name, "v")]


@pytest.mark.parametrize(
    "name",
    [
        *("x-fal-caller-user-id", "x-fal-caller-anything", "x-fal-cdn-token", "x-fal-request-id"),
        *("x-fal-endpoint", "x-fal-runner-health-check", "x-fal-webhook-user-id", "x-fal-new"),
        *("x-towpath-app", "x-towpath-traced", "x-towpath-new", "x-request-id"),
        *("authorization", "cookie", "host", "connection", "transfer-encoding"),
        *("x_fal_caller_user_id", "x-fal_caller-user-id", "X-Fal-Caller-User-Id", "x_towpath_app"),
        *("x_request_id", "x_fal_runner_hint"),
    ],
)
def test_what_is_the_servers_to_say_is_dropped(name: str) -> None:
    """A caller may not say what an app takes for the server's word: see trust T6."""
    assert passed([(name, "v"), ("accept", "*/*")]) == [("accept", "*/*")]


@given(st.text(st.characters(codec="latin-1"), max_size=40))
def test_no_name_of_the_servers_gets_through(tail: str) -> None:
    for name in (f"x-fal-caller-{tail}", f"x-towpath-{tail}"):
        assert passed([(name, "v")]) == []
