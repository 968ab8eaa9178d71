"""File: a public URL and what is known of the bytes behind it."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self, Unpack
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema
from typing_extensions import override

from towpath.concurrency import in_thread
from towpath.downloads.download import bring_to, fetch_bytes
from towpath.downloads.landing import land
from towpath.downloads.limits import Limits
from towpath.downloads.reuse import Head
from towpath.downloads.wanted import wanted
from towpath.errors import FileTooLargeError
from towpath.files.upload_options import UploadOptions, described, upload
from towpath.uploads.uploader import Payload, Uploaded

__all__ = ["File", "checked_url", "described_by"]

_MOST_KEPT = 64 * 2**20
_SCHEMES = frozenset({"http", "https", "data"})


def checked_url(url: str) -> str:
    """Return *url* if it is an http, https or data: URL.

    Raises:
        ValueError: it is not.
    """
    scheme = url[:5].partition(":")[0].lower()
    if scheme not in _SCHEMES or (scheme != "data" and not _has_host(url)):
        message = "value must be a valid URL: start it with https://, http:// or data:"
        raise ValueError(message)
    return url


def _has_host(url: str) -> bool:
    """Return whether an http URL names a host."""
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _model_fields(schema: Mapping[str, Any]) -> dict[str, Any] | None:  # Any: a core schema
    """Return the fields of a model's core schema, wherever validators have wrapped them."""
    inner: Mapping[str, Any] | None = schema
    while inner is not None:
        if inner.get("type") == "model-fields":
            fields: dict[str, Any] = inner["fields"]
            return fields
        inner = inner.get("schema")
    return None


class File(BaseModel):
    """A file with a public URL.

    Create one with `from_path` or `from_bytes`: it is uploaded, and its URL works, when the call
    returns. As an input, a plain URL string or an object with `url` becomes one.

    Attributes:
        url: http, https or data:.
        content_type: as given or guessed; None when unknown.
        file_name: the name that people see; None when unknown.
        file_size: bytes; None when unknown.
        expires_at: UTC, `2026-01-31T12:00:00+00:00`; None = kept.
    """

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"description": "A file with a public URL."}
    )

    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    expires_at: str | None = None
    _data: bytes | None = PrivateAttr(default=None)

    @classmethod
    @override
    def __get_pydantic_core_schema__(
        cls,
        source: type[BaseModel],
        handler: GetCoreSchemaHandler,
        /,
    ) -> CoreSchema:
        """Let `expires_at` be the last key also of subclasses with fields of their own."""
        schema = handler(source)
        fields = _model_fields(handler.resolve_ref_schema(schema))
        if fields is not None and "expires_at" in fields:
            fields["expires_at"] = fields.pop("expires_at")
        return schema

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        return checked_url(url)

    # --- creation ---

    @classmethod
    def from_path(
        cls,
        path: str | PathLike[str],
        content_type: str | None = None,
        *,
        file_name: str | None = None,
        move: bool = False,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Upload the file at *path*.

        Args:
            path: a local file.
            content_type: kept as given; guessed from the name, then the first bytes, if not given.
            file_name: the name that people see; the path's by default.
            move: link instead of copy where possible; do not write to the file afterwards.
            options: see UploadOptions.

        Raises:
            FileNotFoundError: there is no such file.
            UploadError: it could not be stored.
        """
        return cls._uploaded(described(Path(path), content_type, file_name, move=move), options)

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        content_type: str | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Upload *data*.

        Args:
            data: the content.
            content_type: kept as given; guessed from the name, then the first bytes, if not given.
            file_name: the name that people see; a random one by default.
            options: see UploadOptions.

        Raises:
            UploadError: it could not be stored.
        """
        file = cls._uploaded(described(data, content_type, file_name), options)
        return file.holding(data)

    @classmethod
    def _uploaded(cls, payload: Payload, options: UploadOptions) -> Self:
        """Upload *payload* and describe it."""
        return cls(**described_by(*upload(payload, options)))

    def holding(self, data: bytes) -> Self:
        """Remember the content, up to 64 MiB, so that it is not fetched again; return the file."""
        if len(data) <= _MOST_KEPT:
            self._data = data
        return self

    # --- content ---

    def as_bytes(self) -> bytes:
        """Return the content: what this process has, else fetched from the URL, guarded.

        It is fetched once and kept in memory up to 64 MiB.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self._fetched(None)

    def _fetched(self, limit: int | None) -> bytes:
        """Return the content; fetched unless it is here, refused over *limit* bytes."""
        if self._data is None:
            data = fetch_bytes(replace(wanted(self.url), limit=limit))
            self.holding(data)
            return data
        if limit is not None and len(self._data) > limit:
            raise FileTooLargeError(self.url, size=len(self._data), limit=limit)
        return self._data

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> Path:  # noqa: FBT001, FBT002 - the seed's signature
        """Write the content to *path* and return it; the file appears whole or not at all.

        Raises:
            FileExistsError: there is a file, and *overwrite* is false.
            DownloadError: the URL cannot be read.
        """
        target = Path(fspath(path))
        if target.exists() and not overwrite:
            message = f"{target} exists. Pass overwrite=True to replace it."
            raise FileExistsError(message)
        if self._data is None:
            bring_to(wanted(self.url), target)
        else:
            head = Head(self.url, target.name, len(self._data))
            land(head, [self._data], target, limits=Limits(None, len(self._data), 0))
        return target

    @classmethod
    async def from_path_async(
        cls,
        path: str | PathLike[str],
        content_type: str | None = None,
        *,
        file_name: str | None = None,
        move: bool = False,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_path` does, off the event loop."""
        call = in_thread(cls.from_path)
        return await call(path, content_type, file_name=file_name, move=move, **options)

    @classmethod
    async def from_bytes_async(
        cls,
        data: bytes,
        content_type: str | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_bytes` does, off the event loop."""
        return await in_thread(cls.from_bytes)(data, content_type, file_name, **options)

    async def as_bytes_async(self) -> bytes:
        """Do what `as_bytes` does, off the event loop."""
        return await in_thread(self.as_bytes)()

    async def save_async(self, path: str | PathLike[str], overwrite: bool = False) -> Path:  # noqa: FBT001, FBT002 - as save
        """Do what `save` does, off the event loop."""
        return await in_thread(self.save)(path, overwrite)


def described_by(payload: Payload, uploaded: Uploaded) -> dict[str, Any]:  # Any: pydantic's input
    """Return the fields of an uploaded file."""
    return {
        "url": uploaded.url,
        "content_type": payload.content_type,
        "file_name": payload.file_name,
        "file_size": payload.size,
        "expires_at": uploaded.expires_at,
    }
