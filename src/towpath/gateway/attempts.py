"""One attempt at a queued request: to a runner, and what came of it."""

import asyncio
import json
import logging
import os
import secrets
from dataclasses import replace

from towpath.app.retrying import budgets_in
from towpath.engine.engine import RunnerLease
from towpath.errors import (
    AnswerTooLargeError,
    DeadlineError,
    RunnerIncompleteError,
    RunnerLostError,
    RunnerUnreachableError,
    ServerShortageError,
    StoreFullError,
    StoreUnusableError,
    TowpathError,
)
from towpath.gateway.filed import file_of, kept_answer, pieces_in
from towpath.net.upstream import (
    Answer,
    BrokenError,
    RefusedError,
    ShortageError,
    UpstreamError,
)
from towpath.queue.leases import retry_delay, verdict
from towpath.queue.outcomes import outcome_of
from towpath.queue.payloads import Payloads
from towpath.queue.requests import Claim, Headers, Outcome
from towpath.runner.wire import STEERING, TRACED_HEADER, AppSpec, forwarded
from towpath.web.untold import note_untold

__all__ = ["attempt", "failed", "failure_of", "judged"]

log = logging.getLogger(__name__)

_SPARE_SECONDS = 0.5  # the runner's own clock comes first
_PAUSE_SECONDS = 1.0
_ERROR_TYPE = "x-fal-error-type"
_BUDGETS = "x-fal-retry-config"
_NOT_KEPT = frozenset({"server", "date"})
_BAD = 400


async def attempt(
    claim: Claim, lease: RunnerLease, spec: AppSpec, payloads: Payloads | None = None
) -> Outcome:
    """Send a claimed request to the runner of *lease*; return what came of it.

    Args:
        claim: the request.
        lease: a place on a runner.
        spec: the app's.
        payloads: where large bodies are, and large answers go.
    """
    lease.begin(claim.request_id)
    limit = None if spec.request_timeout is None else spec.request_timeout + _SPARE_SECONDS
    try:
        async with asyncio.timeout(limit) as timer:
            return await _sent(claim, lease, payloads)
    except TimeoutError:
        if not timer.expired():
            raise
        seconds = spec.request_timeout or 0
        return outcome_of(DeadlineError(seconds, what="did not finish", by_user=False))
    except UpstreamError as broken:
        return await _broken(broken, lease, spec)
    except (AnswerTooLargeError, StoreFullError, StoreUnusableError) as unkept:
        note_untold(unkept)
        return outcome_of(unkept)


async def _sent(claim: Claim, lease: RunnerLease, payloads: Payloads | None) -> Outcome:
    """Send a request and read its answer."""
    headers, file = file_of(claim.headers, payloads)
    data = (claim.body or None) if file is None else pieces_in(file)
    length = [] if file is None else [("content-length", str(os.fstat(file.fileno()).st_size))]
    answer = await lease.upstream.request(
        claim.method,
        claim.path,
        headers=[*headers, *length, (TRACED_HEADER, "1")],
        data=data,
    )
    async with answer:
        body, mark = await kept_answer(answer, claim, payloads)
    lease.finish(answer.status, answer.headers)
    outcome = _outcome(answer, body)
    return replace(outcome, headers=(*outcome.headers, *mark))


async def _broken(broken: UpstreamError, lease: RunnerLease, spec: AppSpec) -> Outcome:
    """Return what came of a request whose answer did not come, or not whole.

    One that has reached no runner is given back, and the attempt does not count.
    """
    if isinstance(broken, ShortageError | RefusedError):
        log.warning("no connection to a runner", extra={"app": spec.name, "reason": str(broken)})
        return Outcome("given up", delay=_PAUSE_SECONDS)
    return outcome_of(await failure_of(broken, lease, spec.name))


def _outcome(answer: Answer, body: bytes) -> Outcome:
    """Return an answer as an outcome, with the headers that steer it."""
    pairs = forwarded((n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers)
    headers: Headers = tuple(
        (name.lower(), value) for name, value in pairs if name.lower() not in _NOT_KEPT
    )
    if answer.status < _BAD:
        return Outcome("ok", answer.status, headers, body)
    error_type = answer.headers.get(_ERROR_TYPE)
    return Outcome(
        "error", answer.status, headers, body, f"Invalid status code: {answer.status}", error_type
    )


def failed(outcome: Outcome, failure: str | None) -> Outcome:
    """Return *outcome*, or what the runner says of an app that failed after it began to answer.

    Args:
        outcome: what came over the connection.
        failure: what the runner says, as JSON; None when it says nothing.
    """
    if failure is None or outcome.kind not in {"ok", "error"}:
        return outcome
    said = json.loads(failure)
    status, word = int(said["status"]), said["body"].get("error_type")
    headers: Headers = (("content-type", "application/json"),)
    headers += ((_ERROR_TYPE, str(word)),) if word else ()
    body, error = json.dumps(said["body"]).encode(), f"Invalid status code: {status}"
    return Outcome("error", status, headers, body, error, word and str(word))


def judged(outcome: Outcome, claim: Claim, spec: AppSpec) -> Outcome:
    """Return *outcome* as it is kept, or that the request is to be tried again."""
    if outcome.kind not in {"ok", "error"}:
        return outcome
    named = {name.lower(): value for name, value in outcome.headers}
    asked = next((value for name, value in claim.headers if name.lower() == _BUDGETS), None)
    word = verdict(outcome.status, named, claim, budgets_in(asked, spec.budgets))
    if word is None:
        kept = tuple(pair for pair in outcome.headers if pair[0].lower() not in STEERING)
        return replace(outcome, headers=kept)
    spread = secrets.randbelow(1000) / 1000
    return Outcome("retry", delay=retry_delay(claim.tries, spread), condition=word)


async def failure_of(error: UpstreamError, lease: RunnerLease, app: str) -> TowpathError:
    """Say what became of the runner; one that lives has not stopped, whatever its answer did."""
    if isinstance(error, ShortageError):
        return ServerShortageError(app)
    if isinstance(error, RefusedError):
        return RunnerUnreachableError(app)
    if isinstance(error, BrokenError) and await lease.has_ended():
        return RunnerLostError(app)
    return RunnerIncompleteError(app)
