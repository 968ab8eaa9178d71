"""The options of a file's creation, and what is done with them."""

import io
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from towpath.context import Lifetime
from towpath.media.content_types import extension_of, guess
from towpath.media.names import clean_name
from towpath.uploads.default import choose_lifetime, choose_uploader
from towpath.uploads.uploader import (
    Payload,
    Reservation,
    ReservingUploader,
    Uploaded,
    Uploader,
    checked_type,
)

__all__ = ["UploadOptions", "described", "described_stream", "reserve", "upload"]

_HEAD = 512


class UploadOptions(TypedDict, total=False):
    """What every `from_…` may be told beside its main arguments."""

    expires_in: Lifetime
    """The file's life; not given: request header, then the app, then the setting."""
    repository: str | Uploader
    """`cdn` (default), `in_memory` (a data: URI), or an uploader of your own."""
    fallback_repository: str | Uploader | Sequence[str | Uploader]
    """What to try next when the repository fails."""
    request: object
    """A request whose lifecycle header counts; default: the current one."""
    multipart: bool
    """For moved apps; no effect here."""
    save_kwargs: Mapping[str, object]
    """For moved apps; no effect here."""
    fallback_save_kwargs: Mapping[str, object]
    """For moved apps; no effect here."""


def described(
    data: bytes | Path, content_type: str | None, file_name: str | None, *, move: bool = False
) -> Payload:
    """Return the payload of *data*: name and type as given, else guessed."""
    given = file_name or (data.name if isinstance(data, Path) else "")
    if isinstance(data, Path):
        with data.open("rb") as file:
            head = file.read(_HEAD)
        size = data.stat().st_size
    else:
        head, size = data[:_HEAD], len(data)
    kind = content_type or guess(given, head)
    name = clean_name(given) or f"{secrets.token_hex(16)}.{extension_of(kind)}"
    return Payload(data, kind, name, size, move)


def described_stream(
    stream: io.BufferedReader, content_type: str | None, file_name: str | None
) -> Payload:
    """Return the payload of a stream of unknown length; its first bytes are only looked at."""
    kind = content_type or guess(file_name, stream.peek(_HEAD)[:_HEAD])
    name = clean_name(file_name or "") or f"{secrets.token_hex(16)}.{extension_of(kind)}"
    return Payload(stream, kind, name)


def reserve(content_type: str, file_name: str | None, options: UploadOptions) -> Reservation:
    """Make a place for a file that is still to come.

    Raises:
        NoUploaderError: this process has no store.
        UploadRefusedError: the content type is not one.
        ValueError: the repository cannot make places.
    """
    uploader = choose_uploader(options.get("repository", "cdn"))
    if not isinstance(uploader, ReservingUploader):
        message = f"{type(uploader).__name__} cannot reserve a URL; use repository='cdn'"
        raise ValueError(message)  # noqa: TRY004 - the value of an option
    kind = checked_type(content_type)
    name = clean_name(file_name or "") or f"{secrets.token_hex(16)}.{extension_of(kind)}"
    return uploader.reserve(content_type=kind, file_name=name, lifetime=_lifetime(options))


def upload(payload: Payload, options: UploadOptions) -> tuple[Payload, Uploaded]:
    """Upload *payload*; return it with its size filled in, and where it is."""
    repository = options.get("repository", "cdn")
    uploader = choose_uploader(repository, options.get("fallback_repository"))
    uploaded = uploader.upload(payload, lifetime=_lifetime(options))
    return replace(payload, size=uploaded.size), uploaded


def _lifetime(options: UploadOptions) -> Lifetime | None:
    """Return the life that the file gets."""
    headers = getattr(options.get("request"), "headers", None)
    return choose_lifetime(options.get("expires_in"), headers)
