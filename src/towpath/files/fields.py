"""Fields of forms: pydantic fields with the hints that clients and the Playground read."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import override

from towpath.files.constraints import (
    AudioConstraints,
    FileConstraints,
    ImageConstraints,
    VideoConstraints,
)

__all__ = [
    "AudioField",
    "FieldHints",
    "FileField",
    "FormModel",
    "Hidden",
    "ImageField",
    "ImageSizeField",
    "VideoField",
]

Kind = Literal["file", "image", "video", "audio", ""]
Options = Any
"""What pydantic's Field takes beside the default: description, title, examples and so on."""


class FieldHints:
    """What a field's schema says beside its type; pydantic calls it with the schema.

    Attributes:
        kind: what the form shows for it; '' for no file.
        constraints: what its value has to be like, or None.
        ui: further hints for the form.
    """

    def __init__(
        self,
        kind: Kind = "",
        constraints: FileConstraints | None = None,
        ui: Mapping[str, object] | None = None,
        rest: Mapping[str, object] | None = None,
    ) -> None:
        self.kind = kind
        self.constraints = constraints
        self.ui = dict(ui or {})
        self._rest = dict(rest or {})

    def __call__(self, schema: dict[str, Any]) -> None:  # Any: JSON
        """Write the hints into *schema*."""
        schema.update(self._rest)
        ui = {**({"field": self.kind} if self.kind else {}), **self.ui}
        if ui:
            schema["ui"] = {**schema.get("ui", {}), **ui}
        if self.constraints is not None and (limits := self.constraints.to_schema()):
            schema["x-fal"] = {**schema.get("x-fal", {}), **limits}


def FileField(  # noqa: N802 - the name that clients' authors know
    default: Any = ...,  # noqa: ANN401 - any default
    *,
    constraints: FileConstraints | None = None,
    ui: Mapping[str, object] | None = None,
    **field: Options,
) -> Any:  # noqa: ANN401 - pydantic's Field says Any too, so that it fits every annotation
    """Return a field for a file.

    Args:
        default: the value when none is given; required without one.
        constraints: what the file has to be like; enforced before the endpoint runs, as a 422.
        ui: further hints for the form, such as `{"important": True}`.
        field: what pydantic's Field takes, such as description and examples.
    """
    return _field("file", default, constraints, ui, field)


def ImageField(  # noqa: N802 - as above
    default: Any = ...,  # noqa: ANN401 - as above
    *,
    constraints: ImageConstraints | FileConstraints | None = None,
    ui: Mapping[str, object] | None = None,
    **field: Options,
) -> Any:  # noqa: ANN401 - as above
    """Return a field for a picture; see FileField."""
    return _field("image", default, constraints, ui, field)


def VideoField(  # noqa: N802 - as above
    default: Any = ...,  # noqa: ANN401 - as above
    *,
    constraints: VideoConstraints | FileConstraints | None = None,
    ui: Mapping[str, object] | None = None,
    **field: Options,
) -> Any:  # noqa: ANN401 - as above
    """Return a field for a video; see FileField."""
    return _field("video", default, constraints, ui, field)


def AudioField(  # noqa: N802 - as above
    default: Any = ...,  # noqa: ANN401 - as above
    *,
    constraints: AudioConstraints | FileConstraints | None = None,
    ui: Mapping[str, object] | None = None,
    **field: Options,
) -> Any:  # noqa: ANN401 - as above
    """Return a field for a sound; see FileField."""
    return _field("audio", default, constraints, ui, field)


def ImageSizeField(  # noqa: N802 - as above
    default: Any = ...,  # noqa: ANN401 - as above
    *,
    constraints: ImageConstraints | None = None,
    ui: Mapping[str, object] | None = None,
    **field: Options,
) -> Any:  # noqa: ANN401 - as above
    """Return a field for the size of a picture that is to be made: an ImageSizeInput.

    Args:
        default: a preset's name or an ImageSize; required without one.
        constraints: widths, heights, pixels and ratios that are taken; enforced as a 422.
        ui: further hints for the form.
        field: what pydantic's Field takes.
    """
    return _field("", default, constraints, ui, field)


def _field(
    kind: Kind,
    default: Any,  # noqa: ANN401 - as above
    constraints: FileConstraints | None,
    ui: Mapping[str, object] | None,
    options: Mapping[str, Any],
) -> Any:  # noqa: ANN401 - as above
    """Return pydantic's field with our hints."""
    options = dict(options)
    extra = options.pop("json_schema_extra", None)
    hints = FieldHints(kind, constraints, ui, extra if isinstance(extra, Mapping) else None)
    if "default_factory" in options:
        return Field(json_schema_extra=hints, **options)
    return Field(default, json_schema_extra=hints, **options)


def Hidden(field: Any) -> Any:  # noqa: ANN401, N802 - as above
    """Return *field*, hidden from forms; it is taken all the same.

    Raises:
        TypeError: it is no pydantic field.
        ValueError: it has no default, so that a form without it could not be sent.
    """
    if not isinstance(field, FieldInfo):
        message = f"Hidden takes a field, such as Field(default=1); got {type(field).__name__}"
        raise TypeError(message)
    if field.is_required():
        message = "a hidden field needs a default, since no form shows it"
        raise ValueError(message)
    extra = field.json_schema_extra
    if isinstance(extra, FieldHints):
        extra.ui["hidden"] = True
    else:
        rest = extra if isinstance(extra, Mapping) else None
        field.json_schema_extra = FieldHints(ui={"hidden": True}, rest=rest)
        # What is not listed here is lost when pydantic merges the field into a model's.
        field._attributes_set["json_schema_extra"] = field.json_schema_extra  # noqa: SLF001
    return field


class FormModel(BaseModel):
    """A base of inputs and outputs whose fields are shown in an order of the author's.

    Attributes:
        FIELD_ORDERS: the fields that come first; the others follow as they are written.
    """

    FIELD_ORDERS: ClassVar[Sequence[str]] = ()

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        """Order the properties."""
        described = handler(schema)
        target = handler.resolve_ref_schema(described)
        properties = target.get("properties")
        if isinstance(properties, dict):
            first = [name for name in cls.FIELD_ORDERS if name in properties]
            order = [*first, *(name for name in properties if name not in first)]
            target["properties"] = {name: properties[name] for name in order}
        return described
