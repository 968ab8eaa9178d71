"""How a runner answers what goes wrong, and whom it tells why.

The naive way prints the traceback where the endpoint prints. That is the request's log, which its
caller may read: values, paths and names of the author's machine went to strangers. So the lines of
a traceback are marked as the operator's: they are in the server's log, and in the request's log as
the operator reads it, and callers get one sentence.
"""

import sys
import traceback
from collections.abc import Callable
from typing import cast

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from towpath.app.tracebacks import authors_traceback
from towpath.context import current_request
from towpath.errors import (
    DeadlineError,
    TowpathError,
    UnknownEndpointError,
    WebsocketNeededError,
)
from towpath.runner.gpu_errors import is_gpu_failure
from towpath.runner.host import AppHost
from towpath.runner.limits import OUT_OF_MEMORY, full_disk, is_out_of_memory
from towpath.web.errors import Problem, problem_of, validation_problem

__all__ = ["Failures", "breakdown"]

_NOT_FOUND = 404

Tell = Callable[[str, str], None]
"""Takes a request's id and a line that only the operator reads."""


class Failures:
    """Says how requests failed.

    Args:
        tell: takes the lines; without it they go to standard error.
    """

    def __init__(self, tell: Tell | None = None) -> None:
        self._tell = tell or (lambda _, line: print(line, file=sys.__stderr__))

    def note(self, path: str, error: BaseException) -> None:
        """Tell the operator why an endpoint failed, and the caller that it did."""
        if (full := full_disk(error)) is not None:
            where = f" ({full.path})" if full.path is not None else ""
            report = f"{full}{where}"
        elif isinstance(error, DeadlineError):
            report = str(error)
        else:
            report = authors_traceback(error) or "".join(traceback.format_exception(error))
        request = current_request()
        request_id = request.request_id if request is not None else ""
        for line in (f"Endpoint {path} failed:", *report.splitlines()):
            self._tell(request_id, line)
        if request_id:
            sys.stderr.write(f"Endpoint {path} failed; the server's log says why.\n")

    def _tell_advice(self, path: str, error: TowpathError) -> None:
        """Tell the author and the operator what they can do about an error that a caller reads."""
        request = current_request()
        request_id = request.request_id if request is not None else ""
        self._tell(request_id, f"Endpoint {path} refused its input: {error}")

    def answer(self, api: FastAPI, host: AppHost) -> None:
        """Answer every error of an app in the shapes that clients know."""
        api.router.default = _not_found(api.router.default)

        async def ours(request: Request, error: Exception) -> Response:
            blamed = getattr(request.state, "blamed", None)
            problem = problem_of(error, loc=blamed, value=getattr(request.state, "value", None))
            if problem.status >= 500:  # noqa: PLR2004
                self.note(request.url.path, error)
            elif isinstance(error, TowpathError) and error.told != str(error):
                self._tell_advice(request.url.path, error)
            return _answer(problem)

        async def http(request: Request, error: Exception) -> Response:
            failure = cast("HTTPException", error)
            if failure.status_code == _NOT_FOUND and failure.detail == "Not Found":
                return _answer(problem_of(_unknown(request.url.path, host)))
            return JSONResponse({"detail": failure.detail}, failure.status_code, failure.headers)

        async def unknown(request: Request, error: Exception) -> Response:
            self.note(request.url.path, error)
            if (full := full_disk(error)) is not None:
                return _answer(problem_of(full))
            return _answer(breakdown(error) or problem_of(error))

        api.add_exception_handler(RequestValidationError, _invalid)
        api.add_exception_handler(TowpathError, ours)
        api.add_exception_handler(HTTPException, http)
        api.add_exception_handler(ResponseValidationError, unknown)
        api.add_exception_handler(Exception, unknown)


def breakdown(error: Exception) -> Problem | None:
    """Return the answer to an error after which the runner is replaced; clients try again."""
    if is_out_of_memory(error):
        what = "CUDA error: out of memory" if is_gpu_failure(error) else "Out of memory"
        body = {"detail": what, "error_type": OUT_OF_MEMORY}
        return Problem(503, body, {"X-Fal-Error-Type": OUT_OF_MEMORY})
    return Problem(503, {"detail": "GPU error"}) if is_gpu_failure(error) else None


async def _invalid(_: Request, error: Exception) -> Response:
    """Answer an input that is not as the endpoint wants it."""
    return _answer(validation_problem(cast("RequestValidationError", error).errors()))


def _not_found(usual: ASGIApp) -> ASGIApp:
    """Return what answers at unknown paths: 404 to websockets too, where the usual says 403."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(Response(status_code=404))
        else:
            await usual(scope, receive, send)

    return answer


def _unknown(path: str, host: AppHost) -> TowpathError:
    """Return what is wrong with a path that no request is answered at."""
    if any(e.spec.path == path and e.spec.is_websocket for e in host.endpoints):
        return WebsocketNeededError(path)
    return UnknownEndpointError(path, [endpoint.spec.path for endpoint in host.endpoints])


def _answer(problem: Problem) -> Response:
    """Return a problem as a response."""
    return JSONResponse(dict(problem.body), problem.status, dict(problem.headers))
