"""An answer that has begun, and the error that comes too late for its status.

A generator that raises after its first value has sent 200 already. Left alone, the connection
breaks off, and whoever reads it cannot tell the app's failure from the end of its runner: the queue
tried such a request ten times. So the failure is told twice: to the server by the runner's own
channel, which holds for every answer, and to the reader of server-sent events as a last event named
`error` (https://html.spec.whatwg.org/multipage/server-sent-events.html). Other bodies break off:
their reader has to see that the rest is missing.
"""

import json
from typing import Literal

from starlette.types import Message, Send

from towpath.web.errors import Problem
from towpath.web.messages import body_part

__all__ = ["BegunAnswer", "as_event", "cause_of"]

_EVENTS = b"text/event-stream"


class BegunAnswer:
    """Passes an answer's messages on, and knows how far it is.

    Args:
        send: takes the messages.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.state: Literal["not begun", "open", "whole"] = "not begun"
        self.is_events = False

    async def send(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self.state = "open"
            types = [value for name, value in message["headers"] if name == b"content-type"]
            self.is_events = bool(types) and types[0].lower().startswith(_EVENTS)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.state = "whole"
        await self._send(message)

    async def fail(self, problem: Problem) -> None:
        """End server-sent events with what went wrong."""
        await self.send(body_part(as_event(problem), more=False))


def as_event(problem: Problem) -> bytes:
    """Return *problem* as a server-sent event; its data is the body of an answer with it."""
    return b"event: error\ndata: " + json.dumps(dict(problem.body)).encode() + b"\n\n"


def cause_of(error: Exception) -> Exception:
    """Return what the app raised; Starlette wraps what it cannot answer any more."""
    cause = error.__cause__
    return cause if type(error) is RuntimeError and isinstance(cause, Exception) else error
