"""Texts of apps and callers as a database can keep them and an answer can carry them. Pure.

A Python string may hold a lone surrogate, as `os.fsdecode` and `json.loads` make them, which UTF-8
cannot write (RFC 3629, 3), and PostgreSQL keeps no NUL in a text
(https://www.postgresql.org/docs/current/datatype-character.html). One such character in a line of a
log was an error wherever the line came by. Here is the border: what passes it can be written.
"""

import json
import re
from typing import Any, Final

__all__ = ["read_json", "writable"]

_REPLACEMENT: Final = "\ufffd"
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


def writable(text: str) -> str:
    """Return *text* with U+FFFD in the place of lone surrogates and NULs."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNWRITABLE.sub(_REPLACEMENT, text)


def read_json(text: str | None) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON text says, with writable strings and finite numbers.

    None where it says nothing that an answer could carry.
    """
    try:
        value = json.loads(text or "null", parse_constant=lambda _: None)
        return json.loads(writable(json.dumps(value, ensure_ascii=False, allow_nan=False)))
    except (ValueError, RecursionError):
        return None
