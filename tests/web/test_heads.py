"""Heads that are not answered (trust T17)."""

import pytest

from towpath.web.heads import read_head

OK = (b"host", b"a.example:8000")
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("headers", "version", "fault"),
    [
        ([OK], "1.1", None),
        ([], "1.0", None),
        ([OK], "1.0", None),
        ([OK, CHUNKED], "1.1", None),
        ([OK, (b"transfer-encoding", b"Chunked")], "1.1", None),
        ([], "1.1", "no Host"),
        ([OK, OK], "1.1", "more than one Host"),
        ([OK, OK], "1.0", "more than one Host"),
        ([(b"host", b"")], "1.1", "not a host"),
        ([(b"host", b"a b")], "1.1", "not a host"),
        ([(b"host", b"a/b")], "1.1", "not a host"),
        ([(b"host", b"a@b")], "1.1", "not a host"),
        ([(b"host", b"a:b")], "1.1", "not a host"),
        ([(b"host", b"a:123456")], "1.1", "not a host"),
        ([(b"host", b"a, b")], "1.1", "not a host"),
        ([(b"host", b"\xe4")], "1.1", "not a host"),
        ([(b"host", b"a:")], "1.1", None),
        ([(b"host", b"[::1]:80")], "1.1", None),
        ([(b"host", b"[::1")], "1.1", "not a host"),
        (
            [OK, (b"transfer-encoding", b"gzip, chunked")],
            "1.1",
            "'gzip, chunked' is not understood",
        ),
        ([OK, (b"transfer-encoding", b"gzip")], "1.1", "not understood"),
        ([OK, (b"transfer-encoding", b"identity")], "1.1", "not understood"),
        ([OK, (b"transfer-encoding", b"chunked, chunked")], "1.1", "not understood"),
        ([OK, CHUNKED, (b"transfer-encoding", b"gzip")], "1.1", "not understood"),
        ([OK, (b"transfer-encoding", b"")], "1.1", "not understood"),
        ([CHUNKED], "1.0", "HTTP/1.0 has no Transfer-Encoding"),
    ],
)
def test_a_head_that_breaks_http_is_a_fault(headers, version: str, fault: str | None) -> None:
    found = read_head(headers, version).fault
    assert (found is None) == (fault is None)
    assert found is None or (fault or "") in str(found)
