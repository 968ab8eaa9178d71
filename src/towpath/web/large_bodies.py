"""Large bodies past the parser: their bytes are passed on as they come, without copies.

httptools makes a bytes object of each piece of a body, which copies it, and the memory of each copy
is new to the process: for 8 MiB, two processes long, that was a seventh of a call's time. Once the
head and the first piece of a body of declared length were parsed, what follows up to that length
can only be body (RFC 9112 section 6.3). So it goes past the parser, and a new parser reads what
comes behind it.
"""

from typing import Any, cast

import httptools
from starlette.types import Scope
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["LARGE_PIECE", "LargeBodies"]

LARGE_PIECE = 16 * 1024
"""A piece of a body that is as long is not copied."""


class LargeBodies(HttpToolsProtocol):
    """uvicorn's protocol, for bodies of any size."""

    _got = 0
    _left = 0

    @override
    def on_message_begin(self) -> None:
        self._got = self._left = 0
        super().on_message_begin()

    @override
    def on_body(self, body: bytes) -> None:
        """Take a piece from the parser; once one is large, what follows goes past it."""
        self._got += len(body)
        if len(body) >= LARGE_PIECE:
            self._left = self._length() - self._got
        self._take(body)

    @override
    def data_received(self, data: bytes) -> None:
        """Receive bytes: of a large body for sure, or for the parser."""
        left = self._left
        if left <= 0:
            super().data_received(data)
            return
        if len(data) < left:
            self._left = left - len(data)
            self._take(data)
            return
        body, rest = data[:left], data[left:]
        self._left = 0
        self._take(body)
        self.on_message_complete()
        self.parser = _parser_for(self)
        if rest:
            super().data_received(rest)

    def _take(self, body: bytes) -> None:
        """Take a large piece as it is; uvicorn copies each twice."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.body and len(body) >= LARGE_PIECE:
            cycle.body = b""  # adding to it is no copy
        elif cycle is not None and isinstance(cycle.body, bytes):
            cycle.body = bytearray(cycle.body)
        super().on_body(body)

    def _length(self) -> int:
        """Return the length of a body that may go past the parser; 0 for others.

        What follows a request that closes the connection, or that changes its protocol, is not ours
        to read.
        """
        parser = self.parser
        if parser.should_upgrade() or not parser.should_keep_alive():
            return 0
        found = 0
        for name, value in cast("Scope", self.scope)["headers"]:
            if name == b"transfer-encoding":
                return 0
            if name == b"content-length":
                found = int(value)
        return found


def _parser_for(protocol: LargeBodies) -> httptools.HttpRequestParser:
    """Return a parser as uvicorn makes it."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
