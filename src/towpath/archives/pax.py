"""Pax headers of a tar, judged before the standard library reads them. Pure.

The naive way hands them to `tarfile`. Before Python 3.11.10 and 3.12.6 it takes records that
overlap, each with a copy of what follows (1 MiB became gigabytes), and it looks for `hdrcharset` by
a pattern that takes the square of a run of digits: 1 MiB of them held the process, with its lock,
for most of an hour (CVE-2024-6232). So what is not written as POSIX says ("pax Extended Header") is
refused, as later versions do, and so is what makes that pattern slow. `tarfile` still reads the
records: there is no second reading of what they mean.
"""

import re

__all__ = ["problem_of_pax"]

_LENGTH = re.compile(rb"([0-9]{1,20}) ")
_LEAST = 5  # "5 a=\n"
_DIGITS = re.compile(rb"[0-9]{64,}")
_MOST_STEPS = 2**24
_CHARSET = b" hdrcharset="
_MOST_CHARSETS = 8
_SPARSE = b"GNU.sparse."
_ILL_FORMED = "it has a pax header that is not one; pack it again"


def problem_of_pax(data: bytes) -> str:
    """Return why a pax header is not read, or ''.

    Args:
        data: the records, filled up with NULs.
    """
    steps = sum(len(run[0]) ** 2 for run in _DIGITS.finditer(data))
    if steps > _MOST_STEPS or data.count(_CHARSET) > _MOST_CHARSETS:
        return "it has a pax header that takes minutes to read"
    at = 0
    while at < len(data) and data[at]:
        end = _end_of_record(data, at)
        if end is None:
            return _ILL_FORMED
        if data.startswith(_SPARSE, data.index(b" ", at) + 1):
            return "it holds a sparse file; only files and folders are unpacked"
        at = end
    return ""


def _end_of_record(data: bytes, at: int) -> int | None:
    """Return where the record at *at* ends, or None: `length keyword=value` and a line break."""
    found = _LENGTH.match(data, at)
    end = at + int(found[1]) if found else 0
    if found is None or end < at + _LEAST or end > len(data) or data[end - 1 : end] != b"\n":
        return None
    equals = data.find(b"=", found.end(), end)
    return end if equals > found.end() else None
