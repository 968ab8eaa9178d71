"""Is what we have good enough? Pure."""

from dataclasses import dataclass
from typing import Literal

from towpath.errors import FileTooLargeError

__all__ = ["Digest", "Facts", "Fit", "Have", "Head", "Verdict", "fit", "is_strong", "verdict"]

Verdict = Literal["download", "reuse"]
Fit = Literal["part", "whole", "changed", "unusable"]


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest of a whole file.

    Attributes:
        algorithm: sha256, sha512 or md5.
        value: in hex.
        source: who says so: `caller`, `computed`, or `server:<field>`.
    """

    algorithm: str
    value: str
    source: str = "caller"


@dataclass(frozen=True, slots=True)
class Head:
    """What a source says of a file before its body.

    Attributes:
        url: where the file came from.
        name: the cleaned name, or ''.
        size: bytes, or None when not declared.
        content_type: as stated, or None.
        etag: the validator with its quotes, or None.
        last_modified: the header as sent, or None.
        digest: what the source says the content's digest is, or None.
        ranges: whether parts of it may be asked for.
    """

    url: str
    name: str
    size: int | None
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    digest: Digest | None = None
    ranges: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file that was downloaded.

    Attributes:
        name: its name in its folder.
        size: bytes on disk.
        mtime_ns: when it was written; another value means that somebody changed it.
        etag: the validator that came with it.
        last_modified: the same.
        sha256: the digest of its content in hex, where it was computed.
        checked_at: when the source was last asked about it, in seconds since the epoch.
        unverified: whether nothing said how long it had to be.
    """

    name: str
    size: int
    mtime_ns: int
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    checked_at: float = 0.0
    unverified: bool = False


@dataclass(frozen=True, slots=True)
class Have:
    """What lies at the target: its size, and the facts if it is untouched since its download."""

    size: int
    facts: Facts | None = None


def verdict(head: Head, have: Have | None, *, limit: int | None, force: bool) -> Verdict:
    """Decide from the headers alone what to do about a file.

    A validator decides when there is one; equal size decides only when there is none.

    Raises:
        FileTooLargeError: the declared size is over *limit*.
    """
    if limit is not None and head.size is not None and head.size > limit:
        raise FileTooLargeError(head.url, size=head.size, limit=limit)
    if force or have is None:
        return "download"
    facts = have.facts
    if facts is None:
        return "reuse" if head.size is not None and head.size == have.size else "download"
    if head.etag and facts.etag:
        return "reuse" if _weak(head.etag) == _weak(facts.etag) else "download"
    same_size = head.size is not None and head.size == have.size
    if head.last_modified and facts.last_modified:
        same = head.last_modified == facts.last_modified and same_size
        return "reuse" if same else "download"
    return "reuse" if same_size else "download"


def _weak(etag: str) -> str:
    """Return the part of a validator that a weak comparison looks at (RFC 9110 8.8.3.2)."""
    return etag.removeprefix("W/")


def is_strong(etag: str | None) -> bool:
    """Return whether a validator promises equal bytes (RFC 9110 section 8.8.1)."""
    return bool(etag) and etag is not None and etag.startswith('"')


def fit(expected: Head, start: int, answer: Head, answer_start: int) -> Fit:
    """Say what an answer to a request for the bytes from *start* is good for.

    Args:
        expected: what is known of the file since its first answer.
        start: the first byte that was asked for.
        answer: what this answer says; its size is that of the whole file.
        answer_start: the first byte that it brings.
    """
    has_same = answer.etag == expected.etag and answer.size == expected.size
    if answer_start == start and (start or has_same):
        if has_same:
            return "part"
        return "unusable" if answer.etag is None and answer.size == expected.size else "changed"
    if answer_start == 0:
        return "whole" if has_same else "changed"
    return "unusable"
