"""An answer that has begun, and the error that comes too late for its status.

A generator that raises after its first value has sent 200 already. Left alone, the connection
breaks off, and whoever reads it cannot tell the app's failure from the end of its runner: the queue
tried such a request ten times. So the failure is told twice: to the server by the runner's own
channel, which holds for every answer, and to the reader of server-sent events as a last event named
`error` (https://html.spec.whatwg.org/multipage/server-sent-events.html). Other bodies break off:
their reader has to see that the rest is missing.
"""

import json
from collections.abc import Callable, Iterable
from typing import Literal

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from towpath.web.errors import Problem
from towpath.web.messages import body_part

__all__ = ["BegunAnswer", "as_event", "cause_of"]

_EVENTS = b"text/event-stream"


class BegunAnswer:
    """Passes an answer's messages on with the runner's hints, and knows how far it is.

    Args:
        send: takes the messages.
        hints: returns what the runner has warm, as a header has it; '' for nothing.
    """

    def __init__(self, send: Send, hints: Callable[[], str] = str) -> None:
        self._send = send
        self._hints = hints
        self.state: Literal["not begun", "open", "whole"] = "not begun"
        self.is_events = False

    async def send(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self.state = "open"
            self.is_events = _is_events(message["headers"])
            if hints := self._hints():
                MutableHeaders(scope=message)["x-fal-runner-hints"] = hints
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.state = "whole"
        await self._send(message)

    async def fail(self, problem: Problem) -> None:
        """End server-sent events with what went wrong."""
        await self.send(body_part(as_event(problem), more=False))


def _is_events(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether an answer with these headers is a stream of server-sent events."""
    for name, value in headers:
        if name == b"content-type":
            return value[: len(_EVENTS)].lower() == _EVENTS
    return False


def as_event(problem: Problem) -> bytes:
    """Return *problem* as a server-sent event; its data is the body of an answer with it."""
    return b"event: error\ndata: " + json.dumps(dict(problem.body)).encode() + b"\n\n"


def cause_of(error: Exception) -> Exception:
    """Return what the app raised; Starlette wraps what it cannot answer any more."""
    cause = error.__cause__
    return cause if type(error) is RuntimeError and isinstance(cause, Exception) else error
