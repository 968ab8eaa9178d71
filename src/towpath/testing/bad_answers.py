"""Statuses, redirects, headers and connections that go wrong."""

from towpath.testing.misbehaviours import BODY, HALF, on, raw
from towpath.testing.origins import Exchange

_DRIP = 0.05

# --- statuses ---


@on("/fails-twice", "small", "answers 500 two times")
def _fails_twice(exchange: Exchange) -> None:
    if exchange.number <= 2:  # noqa: PLR2004 - as its name says
        exchange.answer(b"", "500 Internal Server Error")
    else:
        exchange.serve(BODY)


@on("/busy", "small", "answers 429 and says when to come back")
def _busy(exchange: Exchange) -> None:
    if exchange.number == 1:
        exchange.answer(b"", "429 Too Many Requests", Retry_After=1)
    else:
        exchange.serve(BODY)


@on("/busy-for-long", "SourceStatusError", "says to come back tomorrow")
def _busy_for_long(exchange: Exchange) -> None:
    exchange.answer(b"", "503 Service Unavailable", Retry_After=86_400)


@on("/gone", "SourceStatusError", "answers 410")
def _gone(exchange: Exchange) -> None:
    exchange.answer(b"", "410 Gone")


for _status in ("204 No Content", "205 Reset Content", "304 Not Modified", "300 Multiple Choices"):
    _line = f"HTTP/1.1 {_status}\r\nContent-Length: 0\r\n\r\n".encode()
    raw(f"/{_status[:3]}", "BadResponseError", f"answers {_status} unasked", _line)
raw(
    "/interim-flood",
    "BadResponseError",
    "sends 100 Continue without an end",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
)

# --- connections ---


@on("/reset-once", "small", "breaks the first connection in the body")
def _reset_once(exchange: Exchange) -> None:
    if exchange.number == 1:
        exchange.head("200 OK", Content_Length=len(BODY), ETag='"v1"', Accept_Ranges="bytes")
        exchange.send(BODY[:HALF])
        exchange.wait(_DRIP)
        exchange.reset()
    else:
        exchange.serve(BODY)


@on("/reset-always", "SourceUnavailableError", "breaks every connection")
def _reset_always(exchange: Exchange) -> None:
    exchange.reset()


@on("/keeps-no-promise", "small", "closes kept-alive connections without saying so")
def _keeps_no_promise(exchange: Exchange) -> None:
    exchange.serve(BODY)
    exchange.close()


@on("/silent", "SourceUnavailableError", "takes the request and says nothing")
def _silent(exchange: Exchange) -> None:
    exchange.hang()


@on("/drips", "SourceUnavailableError", "sends a byte of the body now and then")
def _drips(exchange: Exchange) -> None:
    exchange.head("200 OK", Content_Length=len(BODY))
    while not exchange.wait(_DRIP):
        exchange.send(b"x")


@on("/drips-headers", "SourceUnavailableError", "sends headers that never end, slowly")
def _drips_headers(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    while not exchange.wait(_DRIP):
        exchange.send(b"X-More: 1\r\n")


raw("/not-http", "BadResponseError", "speaks another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
raw("/empty", "SourceUnavailableError", "closes without an answer", b"")
raw(
    "/many-headers",
    "BadResponseError",
    "sends 500 header fields",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
)
raw(
    "/long-header",
    "BadResponseError",
    "sends a header field of 300 kB",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
)
raw(
    "/header-without-colon",
    "BadResponseError",
    "sends a header line that is none",
    b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
)

# --- redirects ---

for _word, _location in (
    ("file", "file:///etc/passwd"),
    ("ftp", "ftp://127.0.0.1/x"),
    ("data", "data:,x"),
    ("gopher", "gopher://127.0.0.1:70/x"),
    ("user-info", "http://me:secret@127.0.0.1/x"),
):
    _text = f"HTTP/1.1 302 Found\r\nLocation: {_location}\r\nContent-Length: 0\r\n\r\n"
    raw(f"/to-{_word}", "InvalidURLError", f"redirects to {_location}", _text.encode())
for _word, _host in (
    ("metadata", "169.254.169.254"),
    ("private", "10.0.0.1"),
    ("mapped", "[::ffff:10.0.0.1]"),
    ("nat64", "[64:ff9b::10.0.0.1]"),
    ("decimal", "167772161"),
    ("octal", "012.0.0.1"),
    ("hex", "0x0a000001"),
    ("unspecified", "0.0.0.0"),  # noqa: S104 - refused, not bound
):
    _text = f"HTTP/1.1 302 Found\r\nLocation: http://{_host}/\r\nContent-Length: 0\r\n\r\n"
    raw(f"/to-{_word}", "BlockedAddressError", f"redirects to {_host}", _text.encode())
_NOWHERE = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
raw("/to-nowhere", "BadResponseError", "redirects without a Location", _NOWHERE)


@on("/to-itself", "TooManyRedirectsError", "redirects to itself")
def _to_itself(exchange: Exchange) -> None:
    exchange.answer(b"", "302 Found", Location="/to-itself")


@on("/to-relative", "small", "redirects to a relative URL, with a body that is not read")
def _to_relative(exchange: Exchange) -> None:
    exchange.answer(b"moved" * 100, "307 Temporary Redirect", Location="keeps-no-promise?x=1")


@on("/to-non-ascii", "small", "redirects to a URL that is not percent-encoded")
def _to_non_ascii(exchange: Exchange) -> None:
    exchange.answer(b"", "301 Moved Permanently", Location="/na\u00efve")


@on("/na%C3%AFve", "small", "serves under a name that is not ASCII")
def _naive(exchange: Exchange) -> None:
    exchange.serve(BODY)
