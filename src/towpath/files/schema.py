"""Core schemas of pydantic models, looked into."""

from collections.abc import Mapping
from typing import Any

__all__ = ["model_fields"]


def model_fields(schema: Mapping[str, Any]) -> dict[str, Any] | None:  # Any: a core schema
    """Return the fields of a model's core schema, wherever validators have wrapped them."""
    inner: Mapping[str, Any] | None = schema
    while inner is not None:
        if inner.get("type") == "model-fields":
            fields: dict[str, Any] = inner["fields"]
            return fields
        inner = inner.get("schema")
    return None
