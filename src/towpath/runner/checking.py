"""Inputs against the constraints of their fields, before the endpoint runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from towpath.files.constraints import FileConstraints, ImageConstraints, check_size_of
from towpath.files.fields import FieldHints
from towpath.files.file import File
from towpath.files.image_size import ImageSize, get_image_size
from towpath.files.inputs import AudioInput, FileInput, ImageInput, VideoInput

__all__ = ["Constrained", "check_inputs", "constrained_in"]

_HEAD = 512
_INPUTS: dict[str, type[FileInput]] = {
    "image": ImageInput,
    "video": VideoInput,
    "audio": AudioInput,
}
_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Constrained:
    """A value whose field has constraints.

    Attributes:
        owner: the model that it stands in.
        name: its field there.
        path: where it stands in the body, its index in a list included.
        value: the value.
        hints: the field's.
    """

    owner: BaseModel
    name: str
    path: tuple[str | int, ...]
    value: object
    hints: FieldHints


def constrained_in(bound: Mapping[str, Any]) -> list[Constrained]:  # Any: the author's values
    """Return the values that have to be checked; usually none."""
    models = {
        name: value
        for name, value in bound.items()
        if isinstance(value, BaseModel) and not isinstance(value, File)
    }
    found: list[Constrained] = []
    for name, model in models.items():
        found += _walk(model, (name,) if len(models) > 1 else (), _DEPTH)
    return found


def _walk(model: BaseModel, path: tuple[str | int, ...], depth: int) -> Iterator[Constrained]:
    """Yield the constrained values of *model* and of the models in it."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None or name not in model.model_fields_set:
            continue  # an author's default is not the caller's fault
        here = (*path, field.alias or name)
        hints = field.json_schema_extra
        is_list = isinstance(value, list | tuple)
        items = list(enumerate(value)) if is_list else [(-1, value)]
        for index, item in items:
            at = (*here, index) if is_list else here
            if isinstance(hints, FieldHints) and hints.constraints is not None:
                yield Constrained(model, name, at, item, hints)
            elif isinstance(item, BaseModel) and not isinstance(item, File) and depth:
                yield from _walk(item, at, depth - 1)


def check_inputs(found: list[Constrained]) -> None:
    """Fetch the files that have to be looked at, and check them.

    What was fetched is kept: the endpoint gets inputs that know where their content lies.

    Raises:
        InputError: a file is not as its field wants it.
        DownloadError: a file cannot be fetched.
        MediaError: a file is not media that can be read.
    """
    for each in found:
        constraints = each.hints.constraints
        if constraints is None:
            continue
        if isinstance(each.value, FileInput | File | str) and each.hints.kind:
            _check_file(each, constraints)
        elif isinstance(constraints, ImageConstraints):
            _check_image_size(each, constraints)


def _check_image_size(each: Constrained, constraints: ImageConstraints) -> None:
    """Check a size that is asked for."""
    if isinstance(each.value, ImageSize | str):
        size = get_image_size(each.value)  # type: ignore[arg-type]  # validated before
        field, *at = each.path
        check_size_of(constraints, size.width, size.height, str(field), at)


def _check_file(each: Constrained, constraints: FileConstraints) -> None:
    """Fetch one file and check it."""
    field, *at = each.path
    file = _fetchable(each)
    path = file._fetch(constraints.max_bytes)  # noqa: SLF001 - what to_path does, with a limit
    with path.open("rb") as stream:
        constraints.check_head(stream.read(_HEAD), str(field), at)
    if constraints.needs_facts:
        constraints.check_facts(file.probe(), str(field), at)


def _fetchable(each: Constrained) -> File | FileInput:
    """Return the file; a plain text becomes an input, which remembers what was fetched."""
    if isinstance(each.value, File | FileInput):
        return each.value
    kind: type[FileInput] = _INPUTS.get(each.hints.kind, FileInput)
    given = kind(str(each.value))
    if not isinstance(getattr(each.owner, each.name), list | tuple):
        each.owner.__dict__[each.name] = given
    return given
