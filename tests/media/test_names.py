import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from towpath.media import names
from towpath.media.names import (
    clean_name,
    content_disposition,
    name_from_disposition,
    name_from_url,
    url_name,
    with_mark,
)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("/absolute/photo.png", "photo.png"),
        ("..", ""),
        (".", ""),
        ("", ""),
        ("a\x00b\r\n.png", "ab.png"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        (".hidden", "_.hidden"),
        ("-rf", "_-rf"),
        ("con.txt", "_con.txt"),
        ("LPT1", "_LPT1"),
        ("naïve.png", "naïve.png"),
        ("e\u0301.png", "é.png"),
        ('what<is>this:"?*|.png', "what_is_this_____.png"),
        ("a;b.txt", "a_b.txt"),
        ("`id`.txt", "_id_.txt"),
        ("end.", "end"),
        ("end. . .", "end"),
        ("con.", "_con"),
    ],
)
def test_a_strangers_name_becomes_one_safe_segment(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@given(st.text(max_size=600))
def test_no_name_escapes_its_folder_or_is_too_long(name: str) -> None:
    cleaned = clean_name(name)
    assert cleaned not in {".", ".."}
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert len(cleaned.encode()) <= 255
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} for c in cleaned)


@given(st.text(max_size=300))
@example("a" * 254 + "." + "b" * 100)
@example("a" * 254 + " " + "b" * 100)
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    """Wording after trust T17: a long name was cut to one that ends in a dot or a blank."""
    cleaned = clean_name(name)
    assert clean_name(cleaned) == cleaned
    assert not cleaned.endswith((".", " "))


def test_a_long_name_keeps_its_suffix() -> None:
    cleaned = clean_name("ü" * 400 + ".safetensors")
    assert cleaned.endswith(".safetensors")
    assert len(cleaned.encode()) <= 255


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="report.pdf"', "report.pdf"),
        ("attachment; filename=report.pdf", "report.pdf"),
        ("attachment; filename*=UTF-8''na%C3%AFve.png", "naïve.png"),
        ("attachment; filename=\"x.png\"; filename*=UTF-8''y.png", "y.png"),
        ("attachment; filename*=KOI8-R''%D0.png; filename=\"x.png\"", "x.png"),
        ("attachment; filename*=UTF-8''..%2Fna%C3%AFve%00", "naïve"),
        ('attachment; filename="../../x"', "x"),
        ('attachment; filename=".."', ""),
        ('attachment; filename="a\\"b.png"', "a_b.png"),
        ("inline", ""),
        (None, ""),
    ],
)
def test_content_disposition_is_read_as_rfc_6266_says(header: str | None, name: str) -> None:
    assert name_from_disposition(header) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x.test/a/b%20c.png?sig=1", "b c.png"),
        ("https://x.test/", ""),
        ("https://x.test/a/..%2Fb", "b"),
    ],
)
def test_the_urls_last_segment_is_decoded(url: str, name: str) -> None:
    assert name_from_url(url) == name


@pytest.mark.parametrize(
    ("name", "content_type", "expected"),
    [
        ("My Photo (1).PNG", "image/png", "My-Photo-1.png"),
        ("photo.jpeg", "image/jpeg", "photo.jpeg"),
        ("page.html", "image/png", "page.png"),
        ("model.glb", "application/octet-stream", "model.glb"),
        ("page.html", "application/octet-stream", "page.bin"),
        ("x.svg", "application/x-unknown", "x.bin"),
        ("日本.png", "image/png", "file.png"),
        ("x.tar.gz", "application/gzip", "x.tar.gz"),
        ("my data.TAR.xz", "application/x-xz", "my-data.tar.xz"),
        (".tar.gz", "application/gzip", "file.tar.gz"),
    ],
)
def test_a_url_name_is_ascii_and_its_extension_follows_the_type(
    name: str, content_type: str, expected: str
) -> None:
    assert url_name(name, content_type) == expected


@given(st.text(max_size=300), st.sampled_from(["image/png", "text/html", "application/x-a"]))
def test_every_url_name_is_clean(name: str, content_type: str) -> None:
    made = url_name(name, content_type)
    assert len(made) <= 80
    assert made.isascii()
    assert all(c.isalnum() or c in "-_." for c in made)


@given(st.text(max_size=300))
def test_what_content_disposition_writes_is_read_back(name: str) -> None:
    header = content_disposition("attachment", name)
    assert header.isascii()
    assert "\r" not in header
    assert "\n" not in header
    assert name_from_disposition(header) == (clean_name(name) or "file")


def test_a_mark_goes_before_the_suffix() -> None:
    assert with_mark("a.png", "1f2e") == "a-1f2e.png"
    assert with_mark("noext", "1f2e") == "noext-1f2e"
    assert len(with_mark("x" * 255, "1f2e").encode()) <= 255


@given(st.from_regex(names._PLAIN, fullmatch=True))
def test_plain_names_go_the_short_way_to_the_same_end(name: str) -> None:
    assert names._base(name) == name
