"""Errors of the gateway as answers."""

from starlette.responses import JSONResponse, Response

from towpath.web.errors import problem_of
from towpath.web.untold import note_untold

__all__ = ["error_answer"]


def error_answer(error: BaseException, *, is_operator: bool = False) -> Response:
    """Return the answer to *error*; what it does not tell the caller goes to the log.

    The operator is told all of it.

    A websocket that is not open yet is refused with it too (ASGI, "WebSocket Denial Response"): a
    close code cannot arrive before the handshake, and servers send 403 in its place.
    """
    if not is_operator:
        note_untold(error)
    problem = problem_of(error, is_operator=is_operator)
    return JSONResponse(dict(problem.body), problem.status, dict(problem.headers))
