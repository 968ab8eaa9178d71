"""What callers are told of an error: nothing of the server's settings, folders and neighbours."""

import logging

import pytest

from towpath import errors as e
from towpath.gateway.answers import error_answer
from towpath.web.errors import RULES, problem_of

SECRETS = ("TOWPATH_", "/srv/state", "db.internal", "Raise its")
ERRORS = [
    e.BodyTooLargeError(limit=5, size=6),
    e.BodyTooLargeError(limit=5, fix="Raise TOWPATH_MAX_UPLOAD_BYTES."),
    e.MissingKeyError(),
    e.MissingKeyError("me"),
    e.MissingTokenError(),
    e.ForbiddenError("Not here.", advice="Set TOWPATH_CORS_ORIGINS."),
    e.RequestNotFoundError("x"),
    e.QueueUnavailableError("connection to server at db.internal, port 5432 failed"),
    e.QueueUnavailableError("database or disk is full: /srv/state/queue.db", is_full=True),
    e.ImageTooLargeError(pixels=6, limit=5),
    e.ImageTooLargeError(pixels=6, limit=5, url="https://a.test/x"),
    e.InvalidURLError("s3://a/b", "its scheme is s3.", advice="Set TOWPATH_SOURCES=s3."),
    e.NoUploaderError(),
    e.UploadRefusedError("it has 6 bytes, and TOWPATH_MAX_UPLOAD_BYTES is 5", status=413),
    e.UploadUnavailableError("db.internal does not answer"),
    e.StoreFullError(need=1, free=2, reserve=3),
    e.StoreUnusableError("The store's folder /srv/state/store cannot be used."),
    e.StartTimeoutError("local/a", 5),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_stranger_is_told_nothing_of_ours_and_the_operator_all(error, caplog) -> None:
    """Advice for operators goes to the log: see trust T17 and T50."""
    caplog.set_level(logging.INFO)
    assert any(secret in str(error) for secret in SECRETS)
    said = str(problem_of(error, loc=["body", "x"]).body["detail"])
    said += error_answer(error).body.decode()
    assert not any(secret in said for secret in SECRETS)
    assert error.told.endswith((".", ")"))
    assert any(getattr(line, "reason", "") == str(error) for line in caplog.records)


def test_what_has_no_advice_is_told_whole() -> None:
    for kind in (e.BodyTimeoutError, e.UnsupportedBodyError, e.ContentCodingError):
        error = kind("x") if kind is not e.BodyTimeoutError else kind(1)
        assert error.told == str(error)
        assert kind in RULES
