"""Errors as outcomes, in the shapes that clients know."""

import json
from typing import Literal

from towpath.errors import RequestCancelledError
from towpath.queue.requests import Outcome
from towpath.web.errors import problem_of

__all__ = ["outcome_of"]


def outcome_of(error: BaseException) -> Outcome:
    """Return how a request ends that failed with *error*."""
    problem = problem_of(error)
    is_cancelled = isinstance(error, RequestCancelledError)
    kind: Literal["cancelled", "error"] = "cancelled" if is_cancelled else "error"
    body = json.dumps(dict(problem.body)).encode()
    headers = (("content-type", "application/json"), *problem.headers.items())
    error_type = problem.body.get("error_type")
    return Outcome(kind, problem.status, headers, body, str(problem.body["detail"]), error_type)
