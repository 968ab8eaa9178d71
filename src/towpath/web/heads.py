"""Whether the head of a request can be trusted. Pure.

Parsers let more through than RFC 9112 does. Two Host fields make a proxy and a server think of two
hosts; with a transfer coding that one of them does not undo they disagree on where the body ends,
and what follows it is a request that nobody has judged (sections 3.2, 6.1, 11.2).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from towpath.errors import RequestError, TransferCodingError

__all__ = ["Head", "read_head"]

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")
_NO_HOST = "The request has no Host header field. Send one, as RFC 9112 section 3.2 asks."
_HOSTS = "The request has more than one Host header field. Send one."
_BAD_HOST = "The Host header field is not a host. Send one like example.org:8000."
_OLD_CODING = "HTTP/1.0 has no Transfer-Encoding. Send the body with its Content-Length."


@dataclass(frozen=True, slots=True)
class Head:
    """What was found in a request's head.

    Attributes:
        host: the Host field; '' if there is none.
        fault: why the request is not answered, None if nothing is wrong.
    """

    host: str
    fault: RequestError | None = None


def read_head(headers: Sequence[tuple[bytes, bytes]], version: str) -> Head:
    """Judge the head of a request.

    Args:
        headers: pairs; names in lower case.
        version: of HTTP, such as `1.1`.
    """
    host, hosts = "", 0
    for name, value in headers:
        if name == b"host":
            host, hosts = value.decode("latin-1"), hosts + 1
        elif name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0"):
            return Head(host, _coding_fault(value.decode("latin-1"), version))
    return Head(host, _host_fault(host, hosts, version))


def _host_fault(host: str, hosts: int, version: str) -> RequestError | None:
    if hosts == 1:
        return None if _HOST.fullmatch(host) else RequestError(_BAD_HOST)
    if hosts:
        return RequestError(_HOSTS)
    return None if version == "1.0" else RequestError(_NO_HOST)


def _coding_fault(coding: str, version: str) -> RequestError:
    return RequestError(_OLD_CODING) if version == "1.0" else TransferCodingError(coding)
