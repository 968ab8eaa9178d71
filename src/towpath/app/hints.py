"""An OpenAPI document -> the same with the hints that clients and the Playground read. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["with_hints"]

Document = dict[str, Any]  # Any: JSON

_KINDS = ("file", "image", "video", "audio")


def with_hints(document: Document, *, paths: Iterable[str]) -> Document:
    """Return *document* with order and field hints.

    Adds `x-fal-order-paths`, `x-fal-order-properties` for each object schema, and `ui.field` for
    text properties that are named as file URLs (`video_url`) and have no hint of their own.
    """
    hinted: Document = _hinted(document)
    hinted["x-fal-order-paths"] = list(paths)
    return hinted


def _hinted(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a copy of *node* with hints in its schemas."""
    if isinstance(node, list):
        return [_hinted(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _hinted(value) for key, value in node.items()}
    properties = copy.get("properties")
    if isinstance(properties, dict) and copy.get("type") == "object":
        copy["x-fal-order-properties"] = list(properties)
        copy["properties"] = {key: _with_field(key, value) for key, value in properties.items()}
    return copy


def _with_field(name: str, schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Give a text property that is named as a file URL its field hint."""
    kind = _kind_of(name)
    if kind is None or not isinstance(schema, dict) or "ui" in schema:
        return schema
    if not any(part.get("type") == "string" and "ui" not in part for part in _options(schema)):
        return schema
    return {**schema, "ui": {"field": kind}}


def _options(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schema, or the alternatives that it offers."""
    options = schema.get("anyOf")
    yield from options if isinstance(options, list) else [schema]


def _kind_of(name: str) -> str | None:
    """Return the kind of file that a property's name promises."""
    for kind in _KINDS:
        if name == f"{kind}_url" or name.endswith(f"_{kind}_url"):
            return kind
    return None
