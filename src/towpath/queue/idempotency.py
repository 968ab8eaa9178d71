"""What makes two submits the same one. Pure.

The naive way looks an Idempotency-Key up by app and key. Then all callers share one space of names:
whoever sends a key that somebody else has sent gets that request, with its answer. And a caller who
sends the same key with another body gets the old request without a word. The draft of the header
(https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, sections 2.4, 2.7) has
the resource compare a fingerprint of the payload, and answer 422 when it differs.

So the table keeps a digest of caller, endpoint and key, of one length whatever a caller sends, and
beside it a digest of query and body.
"""

from hashlib import sha256

__all__ = ["fingerprint_of", "scoped_key"]


def scoped_key(caller: str, path: str, key: str) -> str:
    """Return the name of *key* among all callers and endpoints of an app.

    Args:
        caller: who sends it; '' on a server without keys, where all are one caller.
        path: below the app; its query is part of the payload.
        key: as it was sent.
    """
    endpoint = path.partition("?")[0]
    return sha256(f"{caller}\0{endpoint}\0{key}".encode(errors="surrogatepass")).hexdigest()


def fingerprint_of(path: str, body: bytes) -> str:
    """Return what tells one payload from another: its query and its body."""
    query = path.partition("?")[2]
    return sha256(query.encode(errors="surrogatepass") + b"\0" + body).hexdigest()
