"""What an upload states of its bytes (trust T17)."""

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from towpath.cdn.digests import stated_digests
from towpath.errors import RequestError

SHA256, SHA512 = hashlib.sha256(b"x").digest(), hashlib.sha512(b"x").digest()


def coded(value: bytes) -> str:
    return f":{b64encode(value).decode()}:"


def read(text: str, field: str = "content-digest") -> dict[str, bytes]:
    return {each.algorithm: each.value for each in stated_digests(Headers({field: text}))}


@pytest.mark.parametrize("field", ["content-digest", "repr-digest"])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        (f"sha-256={coded(SHA256)}", {"sha-256": SHA256}),
        (f"SHA-256={coded(SHA256)}", {"sha-256": SHA256}),
        (f"sha-256={coded(SHA256).replace('=', '')}", {"sha-256": SHA256}),
        (f"md5=:eA==:,  sha-512={coded(SHA512)}", {"sha-512": SHA512}),
        (f"sha-256={coded(SHA256)};q=1, sha={coded(b'y')}", {"sha-256": SHA256}),
        (f"sha-256={coded(bytes(32))}, sha-256={coded(SHA256)}", {"sha-256": SHA256}),
        ("unixsum=:MQ==:, new_1=::", {}),
    ],
)
def test_a_dictionary_of_byte_sequences_is_read(field: str, text: str, found: dict) -> None:
    assert read(text, field) == found


@pytest.mark.parametrize(
    "text",
    [
        *("banana", "sha-256=banana", "sha-256", "sha-256=", "sha-256=:!:", "sha-256=:a:", ","),
        *(f"sha-256 = {coded(SHA256)}", f"sha-256={coded(SHA512)}"),
        *(f"sha-512={coded(SHA256)}", "sha-256=::", f"sha-256={coded(SHA256)},", "md5=banana"),
        *(f"sha-256={coded(SHA256)} x", f"sha-256={b64encode(SHA256).decode()}"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"Content-Digest .* is malformed"):
        read(text)


@given(st.text(max_size=80))
def test_every_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text.encode("latin-1", "replace").decode("latin-1"))
    except RequestError:
        return
    assert set(found) <= {"sha-256", "sha-512"}
