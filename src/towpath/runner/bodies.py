"""A request's body -> the JSON value that the endpoint's model is validated from."""

import json
import re
from collections.abc import Collection
from contextlib import ExitStack, closing
from typing import Any, NoReturn, cast

from fastapi.exceptions import RequestValidationError
from pydantic_core import from_json
from starlette.requests import Request
from typing_extensions import override

from towpath.concurrency import in_thread
from towpath.context import Lifetime
from towpath.errors import UnsupportedBodyError
from towpath.media.content_types import guess
from towpath.media.names import clean_name
from towpath.settings import active
from towpath.storage.spool import Spool, Spools
from towpath.uploads.default import choose_uploader
from towpath.uploads.uploader import Payload
from towpath.web.forms import FormFile, FormLimits, read_form

__all__ = ["NO_BODY", "JsonRequest", "read_body"]

NO_BODY = object()
"""Stands for the body of a request that has none."""
_MOST_FIELDS = 1000
_UPLOAD_LIFE: Lifetime = "1h"
_INFINITE = float("inf")
_MOST_DIGITS = 4300  # that Python, and pydantic, make an integer of
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
"""Escapes of a JSON text, one after the other; the group is half of a surrogate pair."""


class JsonRequest(Request):
    """A request whose body was read and decoded already."""

    def __init__(self, request: Request, value: object) -> None:
        headers = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
        scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}
        super().__init__(scope, request.receive)
        self._value = value

    @override
    async def body(self) -> bytes:
        """Return whether there is a body, as FastAPI asks: the value is in `json`."""
        return b"" if self._value is NO_BODY else b"{}"

    @override
    async def json(self) -> Any:
        """Return the decoded body."""
        return self._value


async def read_body(
    request: Request, names: Collection[str] | None, *, empty: object
) -> JsonRequest:
    """Decode the body of *request*.

    Args:
        request: JSON, or a form whose files are stored for an hour and become their URLs.
        names: the endpoint's scalar parameters; those that an object in the body lacks are taken
            from the query. None: the body is the endpoint's own model.
        empty: what an empty body means: an object without fields, or NO_BODY.

    Raises:
        UnsupportedBodyError: it is neither JSON nor a form.
        RequestValidationError: it is not valid JSON, or nests too deep.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise UnsupportedBodyError(f"{kind} compressed with {coding}")
    if kind == "multipart/form-data":
        value: object = await _form_values(request)
    else:
        raw = await request.body()
        if raw and kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedBodyError(kind or "unknown")
        value = _decoded(raw) if raw.strip() else empty
    if names is not None and isinstance(value, dict):
        value = {**_from_query(request, names), **value}
    return JsonRequest(request, value)


def _from_query(request: Request, names: Collection[str]) -> dict[str, Any]:  # Any: JSON
    """Return the parameters that the query has; one given twice is a list."""
    found: dict[str, Any] = {}
    if not request.scope.get("query_string"):
        return found
    for name in names:
        values = request.query_params.getlist(name)
        if values:
            found[name] = values[0] if len(values) == 1 else values
    return found


# --- JSON ----------------------------------------------------------------------------------------


def _decoded(raw: bytes) -> object:
    """Decode strict JSON: UTF-8, finite numbers, bounded depth.

    pydantic's decoder is six times as fast as Python's for long texts, and finds the same values.
    But it takes numbers that are too large for infinite ones, and says less of what is wrong, so
    whatever is unusual is left to Python's.
    """
    limit = active().max_json_depth
    try:
        value = from_json(raw, allow_inf_nan=False, cache_strings="keys")
        is_deeper, is_finite = _looked_at(value, limit)
    except ValueError:
        is_finite = False
    if not is_finite:
        value = _decoded_by_python(raw)
        is_deeper, _ = _looked_at(value, limit)
    if is_deeper:
        _refuse(0, f"the body nests deeper than {limit} levels")
    return value


def _decoded_by_python(raw: bytes) -> object:
    """Decode strict JSON, or say why that cannot be done."""
    try:
        text = raw.decode("utf-8")
        return _strictly(text.removeprefix("\ufeff"))  # RFC 8259 section 8.1 allows it
    except json.JSONDecodeError as error:
        _refuse(error.pos, error.msg)
    except UnicodeDecodeError as error:
        _refuse(error.start, "the body is not UTF-8")
    except RecursionError:
        _refuse(0, "the body nests too deep")
    except ValueError as error:
        _refuse(0, str(error)[:100])


def _refuse(position: int, reason: str) -> NoReturn:
    """Raise the error of a body that is not JSON."""
    entry = {
        "type": "json_invalid",
        "loc": ("body", position),
        "msg": f"JSON decode error: {reason}",
    }
    raise RequestValidationError([entry])


def _refuse_constant(word: str) -> NoReturn:
    message = f"{word} is not a JSON number"
    raise ValueError(message)


def _strictly(text: str) -> object:
    """Decode strict JSON.

    Half of a surrogate pair stands for no character (RFC 8259 section 8.2): a text that has one
    cannot be written as UTF-8, so an app that gives it back would fail.

    Raises:
        ValueError: it is not strict JSON.
    """
    value: object = _STRICT.decode(text)
    for escape in _ESCAPES.finditer(text):
        if escape[1] is not None:
            reason = f"escape \\{escape[1]} is half of a surrogate pair, which is no character"
            raise json.JSONDecodeError(reason, text, escape.start())
    return value


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > _MOST_DIGITS:
        message = f"an integer has more than {_MOST_DIGITS} digits"
        raise ValueError(message)
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        message = f"number {text[:20]} is too large"
        raise ValueError(message)
    return number


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer)


def _looked_at(value: object, limit: int) -> tuple[bool, bool]:
    """Return whether *value* nests deeper than *limit*, and whether all its numbers are finite.

    Level by level, without recursion; below the limit it is not looked at.
    """
    level: list[Collection[object]] = [[value]]
    for _ in range(limit + 1):
        if any(_INFINITE in values or -_INFINITE in values for values in level):
            return False, False
        level = [
            child.values() if isinstance(child, dict) else child
            for values in level
            for child in values
            if isinstance(child, dict | list)
        ]
    return bool(level), True


# --- forms ---------------------------------------------------------------------------------------


async def _form_values(request: Request) -> dict[str, Any]:  # Any: JSON
    """Return a form's fields; files are stored and become their URLs."""
    settings = active()
    spools = Spools(settings.state / "bodies", settings.store_reserve)
    limits = FormLimits(_MOST_FIELDS, _MOST_FIELDS, settings.max_body_bytes)
    with ExitStack() as stack:

        def make() -> Spool:
            return stack.enter_context(closing(spools.new()))

        kind = request.headers["content-type"]
        parts = await read_form(request.stream(), kind, make, limits)
        values: dict[str, list[Any]] = {}
        for name, part in parts:
            value = await in_thread(_stored)(part) if isinstance(part, FormFile) else _plain(part)
            values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _plain(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return a text field; one that is a JSON object or list is decoded."""
    if text[:1] in {"{", "["}:
        try:
            return _strictly(text)
        except (ValueError, RecursionError):
            return text
    return text


def _stored(part: FormFile) -> str:
    """Store an uploaded file for an hour; return its URL."""
    spool = cast("Spool", part.sink)
    spool.file.seek(0)
    name = clean_name(part.name) or "upload"
    kind = part.content_type or guess(name, part.head)
    payload = Payload(spool.file, kind, name, spool.size)
    return choose_uploader("cdn").upload(payload, lifetime=_UPLOAD_LIFE).url
