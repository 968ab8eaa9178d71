"""Messages of ASGI 3.0 that answers are made of."""

__all__ = ["body_part"]


def body_part(body: bytes | memoryview, *, more: bool = True) -> dict[str, object]:
    """Return a part of an answer's body; *more* says whether another one follows."""
    return {"type": "http.response.body", "body": body, "more_body": more}
