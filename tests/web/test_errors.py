import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath import errors as e
from towpath.web.errors import problem_of, shown_input, validation_problem

URL = "https://user:pw@x.test/a.png?token=s3cret"


@pytest.mark.parametrize(
    ("error", "loc", "status", "kind"),
    [
        (
            e.SourceStatusError(URL, 404, "Check the link."),
            ["body", "u"],
            422,
            "file_download_error",
        ),
        (e.FileTooLargeError(URL, size=2, limit=1), ["body", "u"], 422, "file_too_large"),
        (e.BrokenImageError("broken", url=URL), ["body", "u"], 422, "image_load_error"),
        (e.ImageTooLargeError(pixels=2, limit=1, url=URL), ["body", "u"], 422, "image_too_large"),
        (e.UnsafeArchiveError("bad", member="x", url=URL), ["body", "u"], 422, "invalid_archive"),
        (e.UnsupportedFormatError("bad"), ["body", "u"], 422, "unsupported_image_format"),
        (e.InputError("bad", "f"), None, 422, "value_error"),
        (e.SourceStatusError(URL, 404, "Check the link."), None, 500, None),
        (e.RunnerLostError("a"), None, 503, "runner_disconnected"),
        (e.DeadlineError(1, what="did not start", by_user=True), None, 504, "request_timeout"),
        (e.ObjectExpiredError("x", expired_at="now"), None, 410, None),
        (RuntimeError("secret inner text s3cret"), None, 500, None),
    ],
)
def test_each_error_has_the_status_and_shape_that_clients_know(error, loc, status, kind) -> None:
    problem = problem_of(error, loc=loc)
    assert problem.status == status
    text = json.dumps(problem.body)
    assert "s3cret" not in text
    assert "pw@" not in text
    detail = problem.body["detail"]
    if isinstance(detail, list):
        assert detail[0]["type"] == kind
    elif kind is not None:
        assert problem.body["error_type"] == kind == problem.headers["X-Fal-Error-Type"]


def test_a_timeout_that_the_caller_set_says_so() -> None:
    error = e.DeadlineError(1, what="did not start", by_user=True)
    assert problem_of(error).headers["X-Fal-Request-Timeout-Type"] == "user"


@pytest.mark.parametrize(
    ("value", "echo"),
    [
        (5, 5), (True, True), (1.5, 1.5), ("short", "short"),
        ("x" * 201, None), ([1], None), ({"a": 1}, None), (b"x", None), (None, None),
        (float("nan"), None), (10**30, None),
        (URL, "https://x.test/a.png"),
        ("data:text/plain,secret", "data:text/plain,… (22 characters)"),
    ],
)  # fmt: skip
def test_only_short_scalars_are_echoed_and_urls_without_secrets(value, echo) -> None:
    assert shown_input(value) == echo


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_any_input_makes_a_body_that_is_json(value) -> None:
    entry = {"loc": ("body", "x" * 500, 1), "msg": "m" * 5000, "type": "t", "input": value}
    body = validation_problem([entry] * 50).body
    assert len(body["detail"]) == 20
    assert len(json.dumps(body, allow_nan=False).encode()) < 40_000
