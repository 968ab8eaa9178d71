import pytest

from towpath.media.content_types import extension_of, guess, is_header_safe, sniff, type_of_name


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
