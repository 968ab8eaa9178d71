"""What goes wrong with requests, in the queue: counts, the line of suspects, texts, lines."""

from dataclasses import replace

import pytest
from tests.queue.test_store import A, claimed, new

from towpath.errors import RequestNotFoundError
from towpath.queue.requests import Failures, LogLine, Outcome

LINE = LogLine(1.0, "STDOUT", "a\ud800b\0c", attempt=1)


def test_texts_that_cannot_be_written_are_made_writable(queue) -> None:
    """trust T40: lone surrogates and NULs, in every text that an app or a caller gives."""
    queue.submit(new("1", path="/\0\ud800", hint="h\ud800", idempotency_key="k\0"))
    assert queue.read("1").path == "/\ufffd\ufffd"
    claim = claimed(queue)
    queue.note(claim, [(0, LINE)], '{"message": "\0"}')
    assert queue.records.logs("1")[0][1].message == "a\ufffdb\ufffdc"
    assert queue.read("1").progress == '{"message": "\ufffd"}'
    queue.finish(claim, Outcome("error", 500, error="na\udcefve", error_type="\0" + "x" * 100))
    done = queue.read("1")
    assert (done.error, done.error_type) == ("na\ufffdve", "\ufffd" + "x" * 63)
    with pytest.raises(RequestNotFoundError):
        queue.read("\0\ud800")


def test_what_went_wrong_is_counted_by_its_kind(queue, clock) -> None:
    """trust T31, T32."""
    queue.submit(new("1"))
    for word in ("server_error", "server_error", "connection_error", "timeout", None):
        queue.finish(claimed(queue), Outcome("retry" if word else "given up", condition=word))
    claim = claimed(queue)
    assert claim.failures == Failures(server_error=2, timeout=1, connection_error=1)
    assert (claim.attempt, claim.tries) == (6, 5)


def test_requests_under_whom_a_runner_died_have_a_line_of_their_own(queue) -> None:
    """trust T31."""
    queue.submit(new("1"))
    queue.finish(claimed(queue), Outcome("retry", condition="connection_error"))
    queue.submit(new("2", hint="warm"))
    assert queue.suspects() == {A: 1}
    assert (queue.hint(A), queue.hint(A, "usual")) == (None, "warm")
    second = queue.claim([A], worker="w", now=5.0, line="usual")
    assert second.request_id == "2"
    assert queue.claim([A], worker="w", now=5.0, line="usual") is None
    first = queue.claim([A], worker="w", now=5.0, line="suspect")
    assert (first.request_id, first.failures.connection_error) == ("1", 1)
    assert queue.suspects() == {}


def test_lines_know_their_attempt(queue) -> None:
    """trust T33."""
    queue.submit(new("1"))
    queue.note(claimed(queue), [(0, replace(LINE, message="a"))], None)
    assert queue.records.logs("1")[0][1].attempt == 1
