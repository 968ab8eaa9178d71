import pytest

from towpath.media.content_types import (
    extension_of,
    guess,
    is_header_safe,
    is_one_type,
    is_passive,
    is_script,
    sniff,
    type_of_name,
)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.png", b"", "image/png"),
        ("a.PNG", b"", "image/png"),
        ("a.PNG", b"\xff\xd8\xff", "image/jpeg"),
        ("a", b"\xff\xd8\xff\xe0", "image/jpeg"),
        (None, b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (None, b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (None, b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (None, b"\x00\x00\x00\x20ftypavif", "image/avif"),
        (None, b"\x1aE\xdf\xa3....webm", "video/webm"),
        (None, b"\x1aE\xdf\xa3....matroska", "video/x-matroska"),
        (None, b"PK\x03\x04", "application/zip"),
        (".png", b"", "application/octet-stream"),
        ("x.unknown", b"whatever", "application/octet-stream"),
        ("model.safetensors", b"", "application/octet-stream"),
    ],
)
def test_the_name_decides_unless_the_first_bytes_know_better(
    name: str | None, head: bytes, expected: str
) -> None:
    assert guess(name, head) == expected


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("image/jpeg", "jpg"),
        ("image/jpg", "jpg"),
        ("audio/x-wav", "wav"),
        ("text/plain; charset=utf-8", "txt"),
        ("text/x-thing", "txt"),
        ("application/x-thing", "bin"),
    ],
)
def test_each_type_has_an_extension(content_type: str, extension: str) -> None:
    assert extension_of(content_type) == extension


def test_a_webp_mark_outside_of_riff_is_no_webp() -> None:
    assert sniff(b"xxxxxxxxWEBP") is None


def test_types_by_name() -> None:
    assert type_of_name("clip.mov") == "video/quicktime"
    assert type_of_name("mov") is None


@pytest.mark.parametrize(
    ("content_type", "safe"),
    [
        ("image/png", True),
        ("text/plain; charset=utf-8", True),
        ("application/x-my-thing+json", True),
        ("text/html\r\nX-Evil: 1", False),
        ("nonsense", False),
        ("a/" + "b" * 300, False),
        ("text/plain; name=ü", False),
    ],
)
def test_only_types_that_headers_can_hold_are_sent(content_type: str, safe: bool) -> None:
    assert is_header_safe(content_type) is safe


@pytest.mark.parametrize(
    ("content_type", "is_one"),
    [
        ("image/png", True),
        ("image/svg+xml;utf8", True),
        ('video/mp4; codecs="avc1.42E01E, mp4a.40.2"', True),
        (r'text/plain; a="x\", y"', True),
        ("image/png, text/html", False),
        ("image/png; a=1, text/html", False),
        ('image/png; a="1", text/javascript', False),
        (r'image/png; a="1\\", text/javascript', False),
        ('image/png; a="never closed, text/html', False),
        ("nonsense", False),
    ],
)
def test_what_browsers_read_as_a_list_of_types_is_none(content_type: str, is_one: bool) -> None:
    assert is_one_type(content_type) is is_one
    assert is_one or not is_passive(content_type)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/javascript", True),
        ("Application/JavaScript; charset=utf-8", True),
        ("application/x-ecmascript", True),
        ("text/javascript1.5", True),
        ("text/jscript", True),
        ("application/json", False),
        ("application/postscript", False),
        ("text/plain", False),
    ],
)
def test_types_that_pages_run(content_type: str, expected: bool) -> None:
    assert is_script(content_type) is expected
