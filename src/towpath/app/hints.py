"""An OpenAPI document -> the same with the hints that clients and the Playground read. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["endpoint_titles", "example_in", "with_hints"]

Document = dict[str, Any]  # Any: JSON

_KINDS = ("file", "image", "video", "audio")


def with_hints(
    document: Document, *, paths: Iterable[str], streams: Collection[str] = ()
) -> Document:
    """Return *document* with order and field hints.

    Adds `x-fal-order-paths`, `x-fal-order-properties` for each object schema, and `ui.field` for
    text properties that are named as file URLs (`video_url`) and have no hint of their own. The
    paths in *streams* answer with server-sent events.
    """
    hinted: Document = _hinted(document)
    hinted["x-fal-order-paths"] = list(paths)
    for path in streams:
        answer = hinted["paths"][path]["post"]["responses"]["200"]
        answer["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    return hinted


def endpoint_titles(document: Document) -> dict[str, str]:
    """Return what people call each endpoint, by path."""
    posts = {
        path: methods["post"] for path, methods in document["paths"].items() if "post" in methods
    }
    return {path: str(post.get("summary", path)) for path, post in posts.items()}


def example_in(document: Document, path: str) -> dict[str, Any] | None:  # Any: JSON
    """Return the example of an endpoint that the author gave: `input` and `output`, or None.

    It is the first of the `examples` of the schemas; an output without an input is one too.
    """
    post = document["paths"].get(path, {}).get("post", {})
    taken = _first_example(document, post.get("requestBody", {}))
    given = _first_example(document, post.get("responses", {}).get("200", {}))
    return None if taken is None and given is None else {"input": taken, "output": given}


def _first_example(document: Document, part: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return the first example of a body's schema, or None."""
    content = part.get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    named = document.get("components", {}).get("schemas", {}).get(name, schema)
    examples = named.get("examples")
    return examples[0] if isinstance(examples, list) and examples else None


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
