"""Digests that servers state, and those of what came."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from towpath.downloads.digests import Verifier, file_digest, stated_digest
from towpath.downloads.reuse import Digest
from towpath.errors import DigestError

SHA = hashlib.sha256(b"x").digest()
MD5 = hashlib.md5(b"x").digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"repr-digest": f"sha-256=:{b64(SHA)}:"}, ("sha256", SHA.hex(), "server:repr-digest")),
        (
            {"content-digest": f"unixsum=:MQ==:, sha-256=:{b64(SHA)}:"},
            ("sha256", SHA.hex(), "server:content-digest"),
        ),
        (
            {"repr-digest": f"sha-512=:{b64(hashlib.sha512(b'x').digest())}:"},
            ("sha512", hashlib.sha512(b"x").hexdigest(), "server:repr-digest"),
        ),
        ({"content-md5": b64(MD5)}, ("md5", MD5.hex(), "server:content-md5")),
        (
            {"x-goog-hash": f"crc32c=AAAAAA==, md5={b64(MD5)}"},
            ("md5", MD5.hex(), "server:x-goog-hash"),
        ),
        ({"x-goog-hash": "crc32c=AAAAAA=="}, None),
        ({"x-linked-etag": f'"{SHA.hex()}"'}, ("sha256", SHA.hex(), "server:x-linked-etag")),
        ({"x-linked-etag": '"0123456789abcdef0123456789abcdef01234567"'}, None),
        ({"repr-digest": "sha-256=:not base64:"}, None),
        ({"repr-digest": f"sha-256=:{b64(b'short')}:"}, None),
        ({"content-md5": "%%%"}, None),
        (
            {"content-md5": b64(MD5), "repr-digest": f"sha-256=:{b64(SHA)}:"},
            ("sha256", SHA.hex(), "server:repr-digest"),
        ),
    ],
)
def test_the_strongest_digest_that_is_one_is_taken(fields, expected) -> None:
    assert stated_digest(fields, {}) == (None if expected is None else Digest(*expected))


def test_a_redirect_may_have_stated_it() -> None:
    assert stated_digest({}, {"x-linked-etag": f'"{SHA.hex()}"'}).value == SHA.hex()


def test_bytes_are_hashed_behind_their_arrival(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    path = tmp_path / "f"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    here = [0]
    verifier = Verifier(descriptor, [], lambda: here[0], also=("sha256", "md5"))
    verifier.start()
    for at in (1_000_000, 2_000_000, 2_999_999):
        here[0] = at
    got = verifier.finish("https://x.test/a", len(data))
    assert got == {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
    assert file_digest(descriptor) == got["sha256"]
    os.close(descriptor)


def test_another_digest_is_an_error_with_both(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"y")
    with path.open("rb") as file:
        verifier = Verifier(file.fileno(), [Digest("sha256", SHA.hex())], lambda: 0)
        with pytest.raises(DigestError, match=SHA.hex()) as caught:
            verifier.finish("https://x.test/a?sig=secret", 1)
    assert caught.value.got == hashlib.sha256(b"y").hexdigest()
    assert not caught.value.retryable
