"""Content-Digest and Repr-Digest of an upload: read strictly, compared while the body comes.

The naive way searches the field for something like a SHA-256. A field that cannot be read is passed
over then, and its sender believes that the body was checked. RFC 9530 makes the fields dictionaries
of byte sequences (RFC 9651 section 3.2): anything else is refused, and so is a digest of the wrong
length. Algorithms that are not known here, or not trusted any more (RFC 9530 section 5), may be
ignored (section 2). An upload is whole and has no content coding, so both fields are about the same
bytes.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from towpath.errors import RequestError
from towpath.errors.redaction import shown

__all__ = ["Stated", "checking", "stated_digests"]

_FIELDS = ("content-digest", "repr-digest")
_KNOWN: dict[str, Callable[[], "hashlib._Hash"]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
}
_KEY = r"[a-z*][a-z0-9_.*-]*"
_PARAMETER = rf" *; *{_KEY}(?:=[^\s,;\"]+)?"
_MEMBER = re.compile(rf"((?i:{_KEY}))=:([A-Za-z0-9+/]*=*):(?:{_PARAMETER})*")


@dataclass(frozen=True, slots=True)
class Stated:
    """A digest that a caller states.

    Attributes:
        field: the header field that has it.
        algorithm: one of those that are known.
        value: the digest.
    """

    field: str
    algorithm: str
    value: bytes


def stated_digests(headers: Headers) -> list[Stated]:
    """Return the digests that an upload states, of the algorithms that are known.

    Raises:
        RequestError: a field is malformed.
    """
    return [
        Stated(field, algorithm, value)
        for field in _FIELDS
        for algorithm, value in _members(field, ", ".join(headers.getlist(field))).items()
    ]


def checking(receive: Receive, stated: Sequence[Stated]) -> Receive:
    """Return *receive*, which raises RequestError instead of the end of a body that differs."""
    hashes = {each.algorithm: _KNOWN[each.algorithm]() for each in stated}

    async def checked() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            for each in hashes.values():
                each.update(message.get("body", b""))
            if not message.get("more_body", False):
                for one in stated:
                    _compare(one, hashes[one.algorithm].digest())
        return message

    return checked


def _members(field: str, text: str) -> dict[str, bytes]:
    """Read one field; of two members with the same key the last one counts (RFC 9651, 3.2)."""
    found: dict[str, bytes] = {}
    for part in text.split(",") if text.strip() else ():
        member = _MEMBER.fullmatch(part.strip(" \t"))
        if member is None:
            raise _malformed(field, text)
        algorithm = member[1].lower()  # keys are in lower case; those of the older Digest were not
        if algorithm in _KNOWN:
            found[algorithm] = _decoded(field, algorithm, member[2])
    return found


def _decoded(field: str, algorithm: str, text: str) -> bytes:
    """Return a digest; one without its padding is read too."""
    bare = text.rstrip("=")
    try:
        value = b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except ValueError:
        raise _malformed(field, f"{algorithm}=:{text}:") from None
    if len(value) != _KNOWN[algorithm]().digest_size:
        raise _malformed(field, f"{algorithm}=:{text}:")
    return value


def _malformed(field: str, text: str) -> RequestError:
    return RequestError(
        f"{_named(field)} {shown(text, 80)!r} is malformed. Send one like sha-256=:<base64>:, as "
        "RFC 9530 has it."
    )


def _compare(stated: Stated, got: bytes) -> None:
    """Refuse a body that is not the one that was stated."""
    if not hmac.compare_digest(stated.value, got):
        name = stated.algorithm.upper()
        message = (
            f"The body's {name} is {got.hex()}, and {_named(stated.field)} says "
            f"{stated.value.hex()}. Send it again; nothing was kept."
        )
        raise RequestError(message)


def _named(field: str) -> str:
    return field.title()
