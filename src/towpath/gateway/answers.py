"""Errors of the gateway as answers."""

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from towpath.web.errors import problem_of
from towpath.web.untold import note_untold

__all__ = ["deny", "error_answer"]


def error_answer(error: BaseException) -> Response:
    """Return the answer to *error*; what it does not tell the caller goes to the log."""
    note_untold(error)
    problem = problem_of(error)
    return JSONResponse(dict(problem.body), problem.status, dict(problem.headers))


async def deny(scope: Scope, receive: Receive, send: Send, error: BaseException) -> None:
    """Refuse a websocket before it is open: with the status and body that a request would get.

    A close code would never arrive: before the handshake there is no websocket that could bear it,
    so servers answer 403 whatever the reason (ASGI, "WebSocket Denial Response").
    """
    await WebSocket(scope, receive, send).send_denial_response(error_answer(error))
