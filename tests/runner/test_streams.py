import io
import logging
from types import MappingProxyType

import pytest

from towpath.context import RequestContext, serving
from towpath.runner.streams import RequestHandler, RequestStream

Told = list[tuple[str, str, str]]


def request(name: str) -> RequestContext:
    return RequestContext(name, "e", "a", None, MappingProxyType({}))


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def stream(told: Told) -> RequestStream:
    beneath = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    return RequestStream(beneath, "STDOUT", lambda *line: told.append(line))


def test_lines_belong_to_who_writes_them(stream: RequestStream, told: Told) -> None:
    with serving(request("a")):
        print("one", "two", file=stream)
        print("half", end="", file=stream)
    with serving(request("b")):
        print("other\nlines", file=stream)
    with serving(request("a")):
        print(" whole", file=stream)
    assert told == [
        ("a", "STDOUT", "one two"),
        ("b", "STDOUT", "other"),
        ("b", "STDOUT", "lines"),
        ("a", "STDOUT", "half whole"),
    ]


def test_half_a_line_is_written_out_at_the_end(stream: RequestStream, told: Told) -> None:
    with serving(request("a")):
        stream.write("half")
    stream.finish("a")
    stream.finish("a")
    assert told == [("a", "STDOUT", "half")]


def test_outside_of_a_request_it_is_the_stream_beneath(stream: RequestStream, told: Told) -> None:
    print("plain", file=stream)
    stream.flush()
    assert stream._beneath.buffer.getvalue() == b"plain\n"
    assert told == []
    assert (stream.writable(), stream.isatty(), stream.encoding) == (True, False, "utf-8")


def test_a_line_without_end_is_cut(stream: RequestStream, told: Told) -> None:
    with serving(request("a")):
        stream.write("x" * 100_000)
        stream.write("y" * 100_000 + "\n")
    assert max(len(line) for _, _, line in told) <= 16 * 1024 + 100_000
    assert sum(len(line) for _, _, line in told) == 200_000


def test_records_have_their_levels(told: Told) -> None:
    logger = logging.getLogger("tests.records")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(RequestHandler(lambda *line: told.append(line)))
    with serving(request("a")):
        logger.debug("d")
        logger.info("i %s", 1)
        logger.warning("w")
        logger.error("two\nlines")
    assert told == [
        ("a", "DEBUG", "d"),
        ("a", "INFO", "i 1"),
        ("a", "WARN", "w"),
        ("a", "ERROR", "two"),
        ("a", "ERROR", "lines"),
    ]


def test_what_is_for_the_operator_is_marked(told: Told) -> None:
    """Trust T17: callers read the logs of their requests."""
    handler = RequestHandler(lambda *line: told.append(line))
    record = logging.LogRecord("x", logging.WARNING, "", 0, "inner name", None, None)
    record.audience = "operator"
    with serving(request("a")):
        handler.handle(record)
    handler.handle(record)
    assert told == [("a", "OP:WARN", "inner name"), ("operator", "OP:WARN", "inner name")]


@pytest.mark.parametrize("name", ["asyncio", "concurrent.futures", "towpath.x", "uvicorn.error"])
def test_tracebacks_of_what_runs_the_app_are_for_the_operator(told: Told, name: str) -> None:
    handler = RequestHandler(lambda *line: told.append(line))
    info = (ValueError, ValueError("secret"), None)
    record = logging.LogRecord(name, logging.ERROR, "f.py", 1, "it failed", (), info)
    with serving(request("a")):
        handler.emit(record)
    assert ("a", "OP:ERROR", "ValueError: secret") in told
    said = [line for _, level, line in told if not level.startswith("OP:")]
    assert said == ["Code in thread MainThread failed with ValueError; the server's log says why."]
