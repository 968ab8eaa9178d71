"""One attempt at a queued request: to a runner, and what came of it."""

import asyncio
import secrets
from collections.abc import Mapping

from towpath.engine.engine import RunnerLease
from towpath.errors import (
    AnswerTooLargeError,
    DeadlineError,
    RunnerIncompleteError,
    RunnerLostError,
    RunnerUnreachableError,
    TowpathError,
)
from towpath.net.upstream import Answer, BrokenError, RefusedError, UpstreamError
from towpath.queue.leases import retry_delay, verdict
from towpath.queue.outcomes import outcome_of
from towpath.queue.requests import Claim, Headers, Outcome
from towpath.runner.wire import TRACED_HEADER, AppSpec, forwarded

__all__ = ["attempt", "failure_of"]

_SPARE_SECONDS = 1.0  # the runner's own clock comes first
_MOST_BYTES = 64 * 2**20
_HINTS = "x-fal-runner-hints"
_BAD = 400


async def attempt(claim: Claim, lease: RunnerLease, spec: AppSpec) -> Outcome:
    """Send a claimed request to the runner of *lease*; return what came of it."""
    lease.begin(claim.request_id)
    limit = None if spec.request_timeout is None else spec.request_timeout + _SPARE_SECONDS
    try:
        async with asyncio.timeout(limit) as timer:
            return await _sent(claim, lease, spec)
    except TimeoutError:
        if not timer.expired():
            raise
        seconds = spec.request_timeout or 0
        error: TowpathError = DeadlineError(seconds, what="did not finish", by_user=False)
    except UpstreamError as broken:
        error = failure_of(broken, spec.name)
    except AnswerTooLargeError as too_large:
        error = too_large
    return _judged(outcome_of(error), {}, claim)


async def _sent(claim: Claim, lease: RunnerLease, spec: AppSpec) -> Outcome:
    """Send a request and read its answer."""
    answer = await lease.upstream.request(
        claim.method,
        claim.path,
        headers=[*claim.headers, (TRACED_HEADER, "1")],
        data=claim.body or None,
    )
    async with answer:
        body = await _read(answer, spec)
    lease.finish(answer.status, answer.headers.get(_HINTS, ""))
    return _judged(_outcome(answer, body), answer.headers, claim)


async def _read(answer: Answer, spec: AppSpec) -> bytes:
    """Read an answer that is to be kept.

    Raises:
        AnswerTooLargeError: it is larger than can be kept.
        UpstreamError: it broke off.
    """
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise AnswerTooLargeError(spec.name, limit=_MOST_BYTES)
    return bytes(body)


def _outcome(answer: Answer, body: bytes) -> Outcome:
    """Return an answer as an outcome."""
    pairs = forwarded((n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers)
    headers: Headers = tuple(
        (name.lower(), value) for name, value in pairs if name.lower() not in {"server", "date"}
    )
    if answer.status < _BAD:
        return Outcome("ok", answer.status, headers, body)
    error_type = answer.headers.get("x-fal-error-type")
    return Outcome(
        "error", answer.status, headers, body, f"Invalid status code: {answer.status}", error_type
    )


def _judged(outcome: Outcome, headers: Mapping[str, str], claim: Claim) -> Outcome:
    """Return *outcome*, or that the request is to be tried again."""
    named = {name.lower(): value for name, value in headers.items()}
    if verdict(outcome.status, named, tries=claim.tries, retries=claim.retries) == "done":
        return outcome
    spread = secrets.randbelow(1000) / 1000
    return Outcome("retry", delay=retry_delay(claim.tries, spread))


def failure_of(error: UpstreamError, app: str) -> TowpathError:
    """Say what became of the runner."""
    if isinstance(error, RefusedError):
        return RunnerUnreachableError(app)
    return RunnerLostError(app) if isinstance(error, BrokenError) else RunnerIncompleteError(app)
