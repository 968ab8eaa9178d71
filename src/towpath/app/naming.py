"""What apps are called. Pure."""

import re

from towpath.errors import AppDefinitionError
from towpath.errors.redaction import shown

__all__ = ["RESERVED_OWNERS", "checked_name", "kebab"]

RESERVED_OWNERS = frozenset(
    {"admin", "apps", "comfy", "files", "health", "kv", "metrics", "playground", "queue", "ready"}
    | {"storage", "tokens", "v1", "workflows", "ws"}
)
_GRAMMAR = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def kebab(class_name: str) -> str:
    """Return a class name in kebab-case: `MyModel` -> `my-model`, `ONNXModel` -> `onnx-model`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", class_name)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def checked_name(name: str) -> str:
    """Return *name* if an app may have it.

    Raises:
        AppDefinitionError: it may not.
    """
    if not _GRAMMAR.fullmatch(name):
        message = (
            f"{shown(name, 60)!r} is not an app name. Use lower-case letters, digits and dashes, "
            "at most 63, such as name='my-model'."
        )
        raise AppDefinitionError(message)
    return name
