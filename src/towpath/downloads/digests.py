"""Digests: what the caller and the server say about the content, and whether it is true."""

import base64
import binascii
import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping

from towpath.downloads.reuse import Digest
from towpath.errors import DigestError

__all__ = ["Verifier", "file_digest", "is_sha256", "stated_digest"]

_BLOCK = 256 * 1024
_SIZES = {"sha256": 32, "sha512": 64, "md5": 16}
_NAMES = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}
_POLL = 0.05
_STATING = frozenset(
    {"repr-digest", "content-digest", "x-linked-etag", "x-goog-hash", "content-md5"}
)


def is_sha256(text: str) -> bool:
    """Return whether *text* is 64 hex digits."""
    return re.fullmatch(r"[0-9a-fA-F]{64}", text) is not None


def stated_digest(fields: Mapping[str, str], linked: Mapping[str, str]) -> Digest | None:
    """Return the strongest digest that a server states about a body, or None.

    Reads Repr-Digest and Content-Digest (RFC 9530), x-linked-etag (a SHA-256 of large files on
    model hubs), x-goog-hash, and Content-MD5 (RFC 1864).

    Args:
        fields: the header fields of the answer.
        linked: those of the redirects before it.
    """
    if not (_STATING & fields.keys() or "x-linked-etag" in linked):
        return None
    found = [
        *_structured("repr-digest", fields.get("repr-digest", "")),
        *_structured("content-digest", fields.get("content-digest", "")),
        *_linked(linked.get("x-linked-etag") or fields.get("x-linked-etag", "")),
        *_listed(fields.get("x-goog-hash", "")),
        *_based("md5", fields.get("content-md5", ""), "content-md5"),
    ]
    order = ("sha256", "sha512", "md5")
    return min(found, key=lambda digest: order.index(digest.algorithm), default=None)


def _structured(field: str, value: str) -> list[Digest]:
    """Read `sha-256=:…:, …`."""
    found = []
    for name, text in re.findall(r"([a-z0-9-]+)=:([A-Za-z0-9+/=]*):", value):
        if name in _NAMES and name != "md5":
            found += _based(_NAMES[name], text, field)
    return found


def _linked(value: str) -> list[Digest]:
    """Read an entity tag that is a SHA-256."""
    text = value.removeprefix("W/").strip('" ')
    return [Digest("sha256", text.lower(), "server:x-linked-etag")] if is_sha256(text) else []


def _listed(value: str) -> list[Digest]:
    """Read `crc32c=…, md5=…`; the checksum is passed over."""
    match = re.search(r"(?:^|[,\s])md5=([A-Za-z0-9+/=]+)", value)
    return _based("md5", match[1], "x-goog-hash") if match else []


def _based(algorithm: str, text: str, field: str) -> list[Digest]:
    """Read base64; what is not a digest of the right length is passed over."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return []
    if len(raw) != _SIZES[algorithm]:
        return []
    return [Digest(algorithm, raw.hex(), f"server:{field}")]


def file_digest(descriptor: int, algorithm: str = "sha256") -> str:
    """Return the digest of an open file, in hex."""
    with open(os.dup(descriptor), "rb") as file:  # noqa: PTH123 - a descriptor
        file.seek(0)
        return hashlib.file_digest(file, algorithm).hexdigest()


class Verifier:
    """Computes digests of a file behind the bytes that arrive, in a thread of its own.

    Args:
        descriptor: the file.
        expected: what to compare with; its algorithms are computed.
        frontier: says how many bytes are there from the start without a gap.
        also: further algorithms to compute.
    """

    def __init__(
        self,
        descriptor: int,
        expected: list[Digest],
        frontier: Callable[[], int],
        *,
        also: tuple[str, ...] = (),
    ) -> None:
        self._descriptor = descriptor
        self._expected = expected
        self._frontier = frontier
        names = dict.fromkeys([*(digest.algorithm for digest in expected), *also])
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self._at = 0
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to compute while bytes arrive."""
        if self._hashes:
            self._stop = stop = threading.Event()
            self._thread = threading.Thread(
                target=self._follow, args=(stop,), daemon=True, name="towpath-digest"
            )
            self._thread.start()

    def _follow(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self._read_to(self._frontier()):
                stop.wait(_POLL)

    def _read_to(self, stop: int) -> bool:
        """Hash up to *stop*; return whether there was anything."""
        before = self._at
        while self._at < stop and not (self._stop is not None and self._stop.is_set()):
            block = os.pread(self._descriptor, min(_BLOCK, stop - self._at), self._at)
            if not block:
                break
            for each in self._hashes.values():
                each.update(block)
            self._at += len(block)
        return self._at > before

    def cancel(self) -> None:
        """Stop; nothing is compared."""
        if self._stop is not None and self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = self._stop = None

    def finish(self, url: str, size: int) -> dict[str, str]:
        """Return the digests of the whole file by algorithm, in hex.

        Raises:
            DigestError: one is not what was expected.
        """
        self.cancel()
        if self._hashes:
            self._read_to(size)
        got = {name: each.hexdigest() for name, each in self._hashes.items()}
        for digest in self._expected:
            if got[digest.algorithm] != digest.value.lower():
                raise DigestError(
                    url, digest.algorithm, expected=digest.value.lower(), got=got[digest.algorithm]
                )
        return got
