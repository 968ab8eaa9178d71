from dataclasses import replace

import pytest

from towpath.cdn.headers import file_headers, modified_of
from towpath.storage.records import StoredFile

FILE = StoredFile("a" * 32, "photo.png", "image/png", 10, "ab" * 32, 1_700_000_000.5, None)


def headers(*, download: bool = False, now: float = 1_700_000_100, **change) -> dict[str, str]:
    return file_headers(replace(FILE, **change), now=now, download=download)


def test_a_file_was_modified_in_the_second_before_it_was_saved() -> None:
    """No Last-Modified is later than the Date of its answer (RFC 9110, 8.8.2.1)."""
    assert modified_of(FILE) == 1_699_999_999
    assert headers()["last-modified"] == "Tue, 14 Nov 2023 22:13:19 GMT"


@pytest.mark.parametrize(
    "content_type", ["image/png", "video/mp4", "audio/wav", "text/plain", "application/json"]
)
def test_harmless_types_are_shown(content_type: str) -> None:
    assert headers(content_type=content_type)["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/javascript",
        "application/xml",
        "text/xml",
        "x/y",
    ],
)
def test_active_and_unknown_types_are_downloads_under_a_sandbox(content_type: str) -> None:
    answer = headers(content_type=content_type)
    assert answer["content-disposition"].startswith("attachment")
    assert "sandbox" in answer["content-security-policy"]
    assert answer["x-content-type-options"] == "nosniff"
    sent = "text/plain" if content_type == "text/javascript" else content_type
    assert answer["content-type"].startswith(sent), "no page may run it as a script"


@pytest.mark.parametrize(
    "content_type", ["image/png, text/html", "image/png; a=1, text/javascript"]
)
def test_a_list_of_types_is_not_sent(content_type: str) -> None:
    answer = headers(content_type=content_type)
    assert answer["content-type"] == "application/octet-stream"


def test_a_type_that_would_split_the_headers_is_not_sent() -> None:
    assert headers(content_type="text/html\r\nx: y")["content-type"] == "application/octet-stream"


def test_text_without_a_charset_is_utf_8() -> None:
    assert headers(content_type="text/plain")["content-type"] == "text/plain; charset=utf-8"
    assert headers(content_type="text/plain; charset=latin-1")["content-type"].endswith("latin-1")


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        (None, "public, max-age=31536000, immutable"),
        (1_700_000_100 + 3600, "public, max-age=3600"),
        (1_700_000_100 + 86_400 * 2, "public, max-age=172800, immutable"),
        (1_700_000_100 + 86_400 * 900, "public, max-age=31536000, immutable"),
    ],
)
def test_caches_never_keep_a_file_longer_than_it_lives(expires, expected: str) -> None:
    answer = headers(expires=expires)
    assert answer["cache-control"] == expected
    assert ("x-expires-at" in answer) is (expires is not None)


def test_a_download_is_asked_for_by_the_query() -> None:
    assert headers(download=True)["content-disposition"] == 'attachment; filename="photo.png"'
