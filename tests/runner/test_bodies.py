"""How deep a body may nest, and what else is no JSON: each limit crossed by one."""

import asyncio
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from towpath import settings as settings_room
from towpath.runner.bodies import NO_BODY, read_body


def value_of(body: bytes, kind: str = "application/json") -> Any:
    """Read a body as an endpoint gets it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "query_string": b""}

    async def read() -> Any:
        return await (await read_body(Request(scope, receive), None, empty=NO_BODY)).json()

    return asyncio.run(read())


def reason(body: bytes) -> str:
    with pytest.raises(RequestValidationError) as caught:
        value_of(body)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("limit", [1, 2, 64])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_body_nests_as_deep_as_the_limit_and_no_deeper(
    limit: int, opening: bytes, closing: bytes
) -> None:
    with settings_room.using(settings_room.load(max_json_depth=limit)):
        value_of(opening * limit + b"1" + closing * limit)
        deeper = limit + 1
        told = reason(opening * deeper + b"1" + closing * deeper)
    assert f"nests deeper than {limit} levels" in told


def test_what_lies_side_by_side_is_not_deep() -> None:
    with settings_room.using(settings_room.load(max_json_depth=2)):
        assert value_of(b"[[1], [2], {}, []]") == [[1], [2], {}, []]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * 100_000, "nests too deep"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e999]", "number 1e999 is too large"),
        (b'{"a": "\xff"}', "the body is not UTF-8"),
        (b'{"a": 1,}', "JSON decode error"),
    ],
)
def test_what_is_no_json_says_why(body: bytes, told: str) -> None:
    assert told in reason(body)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_none(body: bytes) -> None:
    assert value_of(body) is NO_BODY


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    """PowerShell writes one in front of a file that `curl -d @file` sends; FastAPI takes it too."""
    assert value_of(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert "Expecting value" in reason(b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}')
