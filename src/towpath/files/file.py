"""File: a public URL and what is known of the bytes behind it."""

import io
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Annotated, BinaryIO, Self, Unpack
from urllib.parse import unquote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PrivateAttr,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema
from typing_extensions import override

from towpath.codecs.decoder import Media
from towpath.concurrency import in_thread
from towpath.downloads.download import bring_to, fetch_bytes
from towpath.downloads.landing import land
from towpath.downloads.limits import Limits
from towpath.downloads.reuse import Head
from towpath.downloads.wanted import wanted
from towpath.errors import FileTooLargeError
from towpath.files.decoding import facts_of, media_of
from towpath.files.facts import MediaFacts, known_facts
from towpath.files.fetching import local_copy
from towpath.files.pending import PendingFile
from towpath.files.schema import model_fields
from towpath.files.upload_options import (
    UploadOptions,
    described,
    described_stream,
    reserve,
    upload,
)
from towpath.files.urls import checked_url
from towpath.settings import active
from towpath.uploads.streams import reader_of
from towpath.uploads.uploader import Payload, Uploaded

__all__ = ["File"]

_MOST_KEPT = 64 * 2**20


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
        metadata: what is known of media, once `probe` was asked or where it cost nothing; in the
            JSON only then.
    """

    model_config = ConfigDict(
        extra="ignore",
        defer_build=True,  # at the first use: imports stay quick
        json_schema_extra={"description": "A file with a public URL."},
    )

    url: str
    content_type: str | None = None
    file_name: str | None = None
    file_size: int | None = None
    expires_at: str | None = None
    metadata: Annotated[MediaFacts | None, WrapValidator(known_facts)] = Field(
        default=None, exclude_if=lambda value: value is None, description="Facts of media."
    )
    _data: bytes | None = PrivateAttr(default=None)
    _path: Path | None = PrivateAttr(default=None)

    @classmethod
    @override
    def __get_pydantic_core_schema__(
        cls,
        source: type[BaseModel],
        handler: GetCoreSchemaHandler,
        /,
    ) -> CoreSchema:
        """Let `expires_at` and `metadata` be the last keys also of subclasses with fields."""
        schema = handler(source)
        fields = model_fields(handler.resolve_ref_schema(schema))
        for last in ("expires_at", "metadata"):
            if fields is not None and last in fields:
                fields[last] = fields.pop(last)
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
    def from_stream(
        cls,
        stream: BinaryIO | Iterable[bytes],
        content_type: str | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Upload a stream of unknown length; it is never whole in memory, and is not closed.

        Args:
            stream: a file open for reading bytes, or pieces of bytes.
            content_type: kept as given; guessed from the name, then the first bytes, if not given.
            file_name: the name that people see; a random one by default.
            options: see UploadOptions.

        Raises:
            UploadError: it could not be stored, or has more than TOWPATH_MAX_UPLOAD_BYTES.
        """
        reader = reader_of(stream, limit=active().max_upload_bytes)
        return cls._uploaded(described_stream(reader, content_type, file_name), options)

    @classmethod
    def reserve(
        cls,
        content_type: str,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> PendingFile[Self]:
        """Return a URL now, for a file whose bytes come later.

        Args:
            content_type: what the file will be.
            file_name: the name that people see; a random one by default.
            options: see UploadOptions; the file's life begins when it is completed.

        Raises:
            NoUploaderError: this process has no store.
            ValueError: the repository cannot make places.
        """
        reservation = reserve(content_type, file_name, options)

        def describe(data: bytes | Path) -> Payload:
            name = unquote(reservation.url.rpartition("/")[2])
            return described(data, content_type, file_name or name)

        return PendingFile(reservation, describe, cls._built)

    @classmethod
    def _uploaded(cls, payload: Payload, options: UploadOptions) -> Self:
        """Upload *payload* and describe it."""
        return cls._built(*upload(payload, options))

    @classmethod
    def _built(cls, payload: Payload, uploaded: Uploaded) -> Self:
        """Describe what was uploaded."""
        return cls(
            url=uploaded.url,
            content_type=payload.content_type,
            file_name=payload.file_name,
            file_size=uploaded.size,
            expires_at=uploaded.expires_at,
        )

    def holding(self, data: bytes) -> Self:
        """Remember the content, up to 64 MiB, so that it is not fetched again; return the file."""
        if len(data) <= _MOST_KEPT:
            self._data = data
        return self

    def _lying_at(self, path: Path) -> Self:
        """Remember where the content lies, so that it is not fetched again; return the file."""
        self._path = path
        return self

    # --- content ---

    def as_bytes(self) -> bytes:
        """Return the content: what this process has, else fetched from the URL, guarded.

        It is fetched once and kept in memory up to 64 MiB.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self._fetched(None)

    def open(self) -> BinaryIO:
        """Open the content for reading.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return io.BytesIO(self._data) if self._data is not None else self.to_path().open("rb")

    def to_path(self) -> Path:
        """Return a local path of the content; fetched once.

        The file is removed at the end of the request. Outside of a request it is removed when
        neither this object nor the path is held any more: a text of the path does not keep it.
        Do not write to it: a file of 16 MiB and more of our own store is linked, not copied.

        Raises:
            DownloadError: the URL cannot be read.
        """
        return self._fetch()

    def _fetch(self, limit: int | None = None) -> Path:
        """Return what `to_path` does, but refuse to fetch more than *limit* bytes.

        Raises:
            FileTooLargeError: it has more.
            DownloadError: the URL cannot be read.
        """
        if self._path is None or not self._path.exists():
            self._path = local_copy(self.url, limit)
        size = self._path.stat().st_size
        if limit is not None and size > limit:
            raise FileTooLargeError(self.url, size=size, limit=limit)
        return self._path

    def probe(self) -> MediaFacts:
        """Fill `metadata` with what a picture, a video or a sound is like, and return it.

        Raises:
            DownloadError: the URL cannot be read.
            MediaError: it is none that is read here.
        """
        self.metadata = facts_of(self._content(), self.url)
        return self.metadata

    def _media(self) -> Media:
        """Return the content as sound or video that can be asked."""
        return media_of(self._content(), self.url)

    def _content(self) -> bytes | Path:
        """Return the content: what this process has, else a local path."""
        return self._data if self._data is not None else self.to_path()

    def _fetched(self, limit: int | None) -> bytes:
        """Return the content; fetched unless it is here, refused over *limit* bytes."""
        if self._data is None and self._path is not None and self._path.exists():
            size = self._path.stat().st_size
            if limit is not None and size > limit:
                raise FileTooLargeError(self.url, size=size, limit=limit)
            return self._path.read_bytes()
        if self._data is None:
            most = None if limit is None else limit / 2**20
            data = fetch_bytes(wanted(self.url, filesize_limit=most))
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

    @classmethod
    async def from_stream_async(
        cls,
        stream: BinaryIO | Iterable[bytes],
        content_type: str | None = None,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_stream` does, off the event loop."""
        return await in_thread(cls.from_stream)(stream, content_type, file_name, **options)

    @classmethod
    async def reserve_async(
        cls,
        content_type: str,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> PendingFile[Self]:
        """Do what `reserve` does, off the event loop."""
        return await in_thread(cls.reserve)(content_type, file_name, **options)

    async def to_path_async(self) -> Path:
        """Do what `to_path` does, off the event loop."""
        return await in_thread(self.to_path)()

    async def as_bytes_async(self) -> bytes:
        """Do what `as_bytes` does, off the event loop."""
        return await in_thread(self.as_bytes)()

    async def save_async(self, path: str | PathLike[str], overwrite: bool = False) -> Path:  # noqa: FBT001, FBT002 - as save
        """Do what `save` does, off the event loop."""
        return await in_thread(self.save)(path, overwrite)
