"""Parts of files, and everything that servers get wrong about them."""

from towpath.testing.misbehaviours import BODY, HALF, LARGE, on
from towpath.testing.origins import Exchange

_PAUSE = 0.004


@on("/ranges-ignored", "large", "answers 200 to a range")
def _ranges_ignored(exchange: Exchange) -> None:
    exchange.seen.headers.pop("range", None)
    exchange.serve(LARGE, pause=_PAUSE)


@on("/ranges-refused", "large", "answers 403 to a range")
def _ranges_refused(exchange: Exchange) -> None:
    if exchange.range is None:
        exchange.serve(LARGE, pause=_PAUSE)
    else:
        exchange.answer(b"", "403 Forbidden")


@on("/ranges-wrong", "large", "answers another range than was asked for")
def _ranges_wrong(exchange: Exchange) -> None:
    if exchange.range is None:
        exchange.serve(LARGE, pause=_PAUSE)
    else:
        where = f"bytes 5-9/{len(LARGE)}"
        exchange.answer(b"wrong", "206 Partial Content", Content_Range=where, ETag='"v1"')


@on("/ranges-of-other-total", "large", "answers a range of a file of another size")
def _ranges_of_other_total(exchange: Exchange) -> None:
    asked = exchange.range
    if asked is None:
        exchange.serve(LARGE, pause=_PAUSE)
    else:
        where = f"bytes {asked[0]}-{asked[0]}/{len(LARGE) + 1}"
        exchange.answer(b"x", "206 Partial Content", Content_Range=where)


@on("/ranges-without-validator", "large", "answers ranges without saying of which version")
def _ranges_without_validator(exchange: Exchange) -> None:
    asked = exchange.range
    if asked is None:
        exchange.serve(LARGE, pause=_PAUSE)
    else:
        stop = asked[1] + 1 if asked[1] is not None else len(LARGE)
        where = f"bytes {asked[0]}-{stop - 1}/{len(LARGE)}"
        exchange.answer(b"?" * (stop - asked[0]), "206 Partial Content", Content_Range=where)


@on("/ranges-good", "large", "serves slowly, and ranges as it should")
def _ranges_good(exchange: Exchange) -> None:
    exchange.serve(LARGE, pause=_PAUSE)


@on("/connections-two", "large", "hangs every connection but two")
def _connections_two(exchange: Exchange) -> None:
    if exchange.open > 2:  # noqa: PLR2004 - as its name says
        exchange.hang()
    else:
        exchange.serve(LARGE, pause=_PAUSE / 2)


@on("/connections-reset", "large", "resets every connection but two")
def _connections_reset(exchange: Exchange) -> None:
    if exchange.open > 2:  # noqa: PLR2004 - as its name says
        exchange.reset()
    else:
        exchange.serve(LARGE, pause=_PAUSE / 2)


@on("/connections-429", "large", "answers 429 to every connection but two")
def _connections_429(exchange: Exchange) -> None:
    if exchange.open > 2:  # noqa: PLR2004 - as its name says
        exchange.answer(b"", "429 Too Many Requests", Retry_After=1)
    else:
        exchange.serve(LARGE, pause=_PAUSE / 2)


@on("/resume-416", "small", "cuts the first body and answers 416 to the rest")
def _resume_416(exchange: Exchange) -> None:
    if exchange.range is not None:
        exchange.answer(b"", "416 Range Not Satisfiable")
    else:
        exchange.serve(BODY, most=HALF if exchange.number == 1 else 0)


@on("/if-range-ignored", "small", "knows If-Match and not If-Range")
def _if_range_ignored(exchange: Exchange) -> None:
    if "if-match" not in exchange.seen.headers:
        exchange.seen.headers.pop("range", None)
    exchange.serve(BODY, most=HALF if exchange.number == 1 else 0)


@on("/changes-once", "small", "has another version after the first cut")
def _changes_once(exchange: Exchange) -> None:
    if exchange.number == 1:
        exchange.serve(BODY[::-1], most=HALF, ETag='"old"')
    else:
        exchange.serve(BODY, ETag='"new"')


@on("/changes-always", "SourceChangedError", "has another version at every request")
def _changes_always(exchange: Exchange) -> None:
    exchange.serve(BODY, most=HALF, ETag=f'"v{exchange.number}"')


@on("/expires", "SourceStatusError", "cuts the body, and then the link has expired")
def _expires(exchange: Exchange) -> None:
    if exchange.number > 1:
        exchange.answer(b"", "403 Forbidden")
    else:
        exchange.serve(BODY, most=HALF)


@on("/uninvited-206", "BadResponseError", "answers 206 though nobody asked for a part")
def _uninvited(exchange: Exchange) -> None:
    exchange.answer(BODY[:9], "206 Partial Content", Content_Range=f"bytes 0-8/{len(BODY)}")
