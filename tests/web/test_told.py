"""What callers are told of an error: nothing of the server's settings, folders and neighbours."""

import json
import logging
from pathlib import Path

import httpx2
import pytest

from towpath import errors as e
from towpath.gateway.answers import error_answer
from towpath.testing import serve
from towpath.web.errors import RULES, problem_of

SECRETS = ("TOWPATH_", "/srv/state", "db.internal", "Raise its", "1073741824", "62709760")
FREE, RESERVE = 62709760, 1073741824
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
    e.StoreFullError(need=5, free=FREE, reserve=RESERVE, what="The body of the request"),
    e.StoreFullError(need=None, free=FREE, reserve=0),
    e.TemporaryFullError(free=FREE),
    e.DiskFullError("https://a.test/x", need=5, free=FREE),
    e.AppDiskFullError(Path("/srv/state/x"), free=FREE),
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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (e.StoreFullError(need=65_549, free=FREE, reserve=RESERVE), "The file could"),
        (
            e.StoreFullError(need=5, free=FREE, reserve=0, what="The body of the request"),
            "The body of the request could",
        ),
        (e.TemporaryFullError(free=FREE), "A temporary file could not be stored"),
        (e.DiskFullError("https://a.test/x?sig=1", need=5, free=FREE), "https://a.test/x:"),
        (e.AppDiskFullError(None, free=FREE), "The app could not write a file"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_full_disk_says_what_could_not_be_stored_and_no_numbers(error, said: str) -> None:
    """Issue 18: callers read the reserve, what is free, and sizes that were not theirs."""
    problem = problem_of(error, loc=["body", "x"])
    told = str(problem.body["detail"])
    assert problem.status == 507
    assert said in told
    assert "the server's disk is full. Try again later." in told
    assert not any(character.isdigit() for character in told)
    assert str(error.free) in str(error)


def test_what_has_no_advice_is_told_whole() -> None:
    for kind in (e.BodyTimeoutError, e.UnsupportedBodyError, e.ContentCodingError):
        error = kind("x") if kind is not e.BodyTimeoutError else kind(1)
        assert error.told == str(error)
        assert kind in RULES


def rule_of(error: e.TowpathError) -> type:
    return next(kind for kind in type(error).__mro__ if kind in RULES)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_operator_is_answered_with_all_of_it(error, caplog) -> None:
    """All but errors of an app's inputs, which the operator's routes do not have."""
    caplog.set_level(logging.INFO)
    said = json.loads(error_answer(error, is_operator=True).body)["detail"]
    assert said == (
        str(error) if RULES[rule_of(error)].shape != "list" else "Internal Server Error"
    )
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (e.StoreUnusableError("/srv/state"), logging.WARNING),
        (e.StoreFullError(need=1, free=2, reserve=3), logging.WARNING),
        (e.QueueUnavailableError("db.internal"), logging.WARNING),
        (e.ForbiddenError("Not here.", advice="Set TOWPATH_CORS_ORIGINS."), logging.INFO),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_of_the_server_is_written_down_at_any_level(error, level: int, caplog) -> None:
    caplog.set_level(logging.INFO)
    error_answer(error)
    assert [line.levelno for line in caplog.records] == [level]


def test_the_operators_routes_say_why_the_store_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = tmp_path / "one.py"
    app.write_text(
        "import towpath\n"
        "class One(towpath.App):\n"
        "    @towpath.endpoint('/')\n"
        "    def run(self) -> int:\n"
        "        return 1\n"
    )

    def broken(*_: object, **__: object) -> None:
        raise e.StoreUnusableError("/srv/state answered 'Read-only file system'.")

    with serve(str(app), store_reserve=0) as server:
        url = httpx2.post(f"{server.url}/files/upload", content=b"x").json()["access_url"]
        store = type(server.running.store)
        monkeypatch.setattr(store, "remove", broken)
        answer = httpx2.delete(f"{server.url}/admin/files/{url.split('/')[4]}")
        assert (answer.status_code, answer.json()["detail"][:10]) == (503, "/srv/state")
        monkeypatch.undo()
