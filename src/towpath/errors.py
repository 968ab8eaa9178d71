"""Every error that towpath raises on purpose: one tree, one file.

TowpathError
  DownloadError              .url .retryable
    InvalidURLError (ValueError)   BlockedAddressError   TooManyRedirectsError
    BadResponseError   SourceStatusError .status   FileTooLargeError .size .limit
    SourceUnavailableError (T)   TruncatedError (T)   DiskFullError (OSError)
  MediaError                 .url
    UnsupportedFormatError (ValueError)   BrokenImageError   ImageTooLargeError .pixels .limit
    BrokenMediaError   BrokenArchiveError   UnsafeArchiveError .member
  InputError                 .field .type .ctx
  UploadError
    NoUploaderError   UploadRefusedError .status   UploadUnavailableError (T)
  StorageError               .key
    ObjectNotFoundError (FileNotFoundError)   ObjectExpiredError   RangeError
    StoreFullError   StoreUnusableError
  RequestError               what a caller of the server did wrong
    BodyTooLargeError   BodyTimeoutError   UnsupportedBodyError   MissingKeyError   ForbiddenError
    UnknownAppError   UnknownEndpointError
  AppError
    AppDefinitionError   AppSetupError .traceback   StartTimeoutError
    DeadlineError   RunnerLostError (T)   RunnerUnreachableError (T)   RunnerIncompleteError
    RequestCancelledError
  ServerError                why a command cannot serve
    SettingsError (ValueError)   AddressInUseError   StateInUseError
TransientError (T)           mix-in: the same call may work a moment later

A message says what failed, on what, why, with the numbers, and what to do. URLs appear without
their query and user info, because signed URLs are secrets.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

__all__ = [
    "AddressInUseError",
    "AppDefinitionError",
    "AppError",
    "AppSetupError",
    "BadResponseError",
    "BlockedAddressError",
    "BodyTimeoutError",
    "BodyTooLargeError",
    "BrokenArchiveError",
    "BrokenImageError",
    "BrokenMediaError",
    "DeadlineError",
    "DiskFullError",
    "DownloadError",
    "FileTooLargeError",
    "ForbiddenError",
    "ImageTooLargeError",
    "InputError",
    "InvalidURLError",
    "MediaError",
    "MissingKeyError",
    "NoUploaderError",
    "ObjectExpiredError",
    "ObjectNotFoundError",
    "RangeError",
    "RequestCancelledError",
    "RequestError",
    "RunnerIncompleteError",
    "RunnerLostError",
    "RunnerUnreachableError",
    "ServerError",
    "SettingsError",
    "SourceStatusError",
    "SourceUnavailableError",
    "StartTimeoutError",
    "StateInUseError",
    "StorageError",
    "StoreFullError",
    "StoreUnusableError",
    "TooManyRedirectsError",
    "TowpathError",
    "TransientError",
    "TruncatedError",
    "UnknownAppError",
    "UnknownEndpointError",
    "UnsafeArchiveError",
    "UnsupportedBodyError",
    "UnsupportedFormatError",
    "UploadError",
    "UploadRefusedError",
    "UploadUnavailableError",
    "shown",
    "shown_url",
]

_LONGEST = 200


def shown(value: str, longest: int = _LONGEST) -> str:
    """Cut *value* for a message and replace its control characters."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:longest])
    return clean if len(value) <= longest else f"{clean}…"


def shown_url(url: str) -> str:
    """Return *url* as a message may show it: no query, no user info, no inline data."""
    if url[:5].lower() == "data:":
        return f"{shown(url[: url.find(',') + 1] or 'data:', 60)}… ({len(url)} characters)"
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return shown(url.partition("?")[0], 60)
    if not parts.scheme:
        return shown(url.partition("?")[0])
    return shown(f"{parts.scheme}://{host}{parts.path}")


class TowpathError(Exception):
    """The root of the tree."""


class TransientError:
    """Mix-in: the same call may work a moment later."""


# --- downloads -----------------------------------------------------------------------------------


class DownloadError(TowpathError):
    """A URL could not be brought to a local path.

    Attributes:
        url: the URL as it was given; messages show it without query and user info.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"Could not download {shown_url(url)}: {reason}")

    @property
    def retryable(self) -> bool:
        """Whether the same call may work a moment later."""
        return isinstance(self, TransientError)


class InvalidURLError(DownloadError, ValueError):
    """The URL itself cannot be used: syntax, scheme, or inline data."""


class BlockedAddressError(DownloadError):
    """The URL leads to an address that strangers' URLs may not reach."""


class TooManyRedirectsError(DownloadError):
    """The server redirected more often than is followed."""


class BadResponseError(DownloadError):
    """The server's answer breaks HTTP, or is one that a download cannot use."""


class SourceStatusError(DownloadError):
    """The server answered with a status that is not success.

    Attributes:
        status: the HTTP status code.
    """

    def __init__(self, url: str, status: int, advice: str) -> None:
        self.status = status
        super().__init__(url, f"the server answered {status}. {advice}")


class SourceUnavailableError(DownloadError, TransientError):
    """The host did not answer, or the connection broke."""


class TruncatedError(DownloadError, TransientError):
    """The body ended before the declared length."""

    def __init__(self, url: str, *, got: int, expected: int) -> None:
        self.got = got
        self.expected = expected
        super().__init__(url, f"the body ended after {got} of {expected} bytes. Try again.")


class FileTooLargeError(DownloadError):
    """The file is larger than the limit.

    Attributes:
        size: bytes declared or seen so far.
        limit: bytes allowed.
    """

    def __init__(self, url: str, *, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            url, f"{size} bytes, and the limit is {limit}. Use a smaller file or raise the limit."
        )


class DiskFullError(DownloadError, OSError):
    """The disk has not enough room for the file."""

    def __init__(self, url: str, *, need: int, free: int) -> None:
        self.need = need
        self.free = free
        super().__init__(
            url, f"it needs {need} bytes and the disk has {free} to spare. Free some space."
        )


# --- media ---------------------------------------------------------------------------------------


class MediaError(TowpathError):
    """A file is not what it has to be.

    Attributes:
        url: where the file came from, if it came from a URL.
        slug: the `type` of the entry in an HTTP error body.
    """

    slug = "file_download_error"

    def __init__(self, message: str, *, url: str | None = None) -> None:
        self.url = url
        super().__init__(f"{message} ({shown_url(url)})" if url else message)


class UnsupportedFormatError(MediaError, ValueError):
    """The format is not one that can be read or written here."""

    slug = "unsupported_image_format"


class BrokenImageError(MediaError):
    """The bytes are not a whole image."""

    slug = "image_load_error"


class ImageTooLargeError(MediaError):
    """The image has more pixels than are decoded."""

    slug = "image_too_large"

    def __init__(self, *, pixels: int, limit: int, url: str | None = None) -> None:
        self.pixels = pixels
        self.limit = limit
        super().__init__(
            f"The image has {pixels} pixels over all frames, and the limit is {limit}. "
            "Use a smaller image or raise TOWPATH_IMAGE_MAX_PIXELS.",
            url=url,
        )


class BrokenMediaError(MediaError):
    """The bytes are not audio or video that can be decoded."""


class BrokenArchiveError(MediaError):
    """The bytes are not a whole archive."""

    slug = "invalid_archive"


class UnsafeArchiveError(MediaError):
    """The archive asks for something that is not done.

    Attributes:
        member: the name of the offending entry, if one is to blame.
    """

    slug = "invalid_archive"

    def __init__(self, reason: str, *, member: str | None = None, url: str | None = None) -> None:
        self.member = member
        where = f"Member '{shown(member)}' of the archive" if member is not None else "The archive"
        super().__init__(f"{where} is refused: {reason}", url=url)


class InputError(TowpathError):
    """Tell the caller what is wrong with an input; the answer is a 422 at that field.

    Args:
        message: what is wrong and what to send instead.
        field: the name of the input, if one is to blame.
        type: the word that programs look for.
        ctx: the numbers, for programs.
    """

    def __init__(
        self,
        message: str,
        field: str | None = None,
        *,
        type: str = "value_error",  # noqa: A002 - the key of the error body that clients read
        ctx: Mapping[str, object] | None = None,
    ) -> None:
        self.field = field
        self.type = type
        self.ctx = dict(ctx or {})
        super().__init__(message)


# --- uploads -------------------------------------------------------------------------------------


class UploadError(TowpathError):
    """A file could not be given a public URL."""


class NoUploaderError(UploadError):
    """Nothing in this process can give a file a URL."""

    def __init__(self) -> None:
        super().__init__(
            "This process has nowhere to put files. Run the app with `towpath run file.py`, or set "
            "TOWPATH_STORE and TOWPATH_PUBLIC_URL, or pass repository='in_memory' for a data: URI."
        )


class UploadRefusedError(UploadError):
    """The place that keeps files said no.

    Attributes:
        status: the HTTP status that says why.
    """

    def __init__(self, reason: str, *, status: int) -> None:
        self.status = status
        super().__init__(f"The file was not stored: {reason}")


class UploadUnavailableError(UploadError, TransientError):
    """The place that keeps files did not answer."""


# --- storage -------------------------------------------------------------------------------------


class StorageError(TowpathError):
    """The store could not do what was asked.

    Attributes:
        key: the object's id, if one is concerned.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        self.key = key
        super().__init__(message)


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """There is no such object."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no file {shown(key, 64)!r} here.", key=key)


class ObjectExpiredError(StorageError):
    """The object's life is over."""

    def __init__(self, key: str, *, expired_at: str) -> None:
        self.expired_at = expired_at
        super().__init__(
            f"File {shown(key, 64)!r} expired at {expired_at}. Make it again with a longer life.",
            key=key,
        )


class RangeError(StorageError):
    """The range lies outside the object."""

    def __init__(self, size: int, *, key: str | None = None) -> None:
        self.size = size
        super().__init__(f"The range lies outside the file's {size} bytes.", key=key)


class StoreFullError(StorageError):
    """Storing the object would use up the reserve of free space."""

    def __init__(self, *, need: int, free: int, reserve: int) -> None:
        self.need = need
        self.free = free
        self.reserve = reserve
        super().__init__(
            f"Storing {need} bytes would leave less than the reserve of {reserve}: {free} are "
            "free. Free some space, or lower TOWPATH_STORE_RESERVE."
        )


class StoreUnusableError(StorageError):
    """The store's folder cannot be used."""


# --- requests to the server ----------------------------------------------------------------------


class RequestError(TowpathError):
    """A caller of the server asked for something that it does not do."""


class BodyTooLargeError(RequestError):
    """The request's body is over the limit."""

    def __init__(self, *, limit: int, size: int | None = None) -> None:
        self.limit = limit
        self.size = size
        has = f"{size} bytes" if size is not None else "larger"
        super().__init__(
            f"The body is {has}, and the limit is {limit} bytes. Send large files by URL, or raise "
            "TOWPATH_MAX_BODY_BYTES."
        )


class BodyTimeoutError(RequestError):
    """The request's body came too slowly."""

    def __init__(self, got: int) -> None:
        self.got = got
        super().__init__(f"The body came too slowly: {got} bytes so far. Send it again.")


class UnsupportedBodyError(RequestError):
    """The request's body is in a form that is not read."""

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        super().__init__(
            f"A body of type {shown(content_type, 80)!r} is not read. Send application/json or "
            "multipart/form-data."
        )


class MissingKeyError(RequestError):
    """The call needs a key, and came without a valid one."""

    def __init__(self) -> None:
        super().__init__(
            "This server needs a key. Send `Authorization: Key <id>:<secret>` with one of "
            "the keys in TOWPATH_KEYS."
        )


class ForbiddenError(RequestError):
    """The caller may not do this."""


class UnknownAppError(RequestError):
    """No app of that name is served here."""

    def __init__(self, owner: str, app: str, known: Sequence[str]) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(
            f"Path /{shown(owner, 64)}/{shown(app, 64)} not found. Apps served here: {listed}."
        )


class UnknownEndpointError(RequestError):
    """The app has no endpoint at that path."""

    def __init__(self, path: str, known: Sequence[str]) -> None:
        listed = ", ".join(known) or "none"
        super().__init__(f"Path {shown(path, 80)} not found. Endpoints of this app: {listed}.")


# --- apps and runners ----------------------------------------------------------------------------


class AppError(TowpathError):
    """An app cannot be defined, started or reached."""


class AppDefinitionError(AppError):
    """The class does not declare an app that can be served."""


class AppSetupError(AppError):
    """The app's runner ended before it was ready.

    Attributes:
        traceback: what it printed last; for logs, never for callers.
    """

    def __init__(self, app: str, *, traceback: str = "") -> None:
        self.traceback = traceback
        super().__init__(
            f"App {app} could not start; the server's log has its traceback. It is tried again."
        )


class StartTimeoutError(AppError):
    """The app was not ready in time."""

    def __init__(self, app: str, seconds: float) -> None:
        super().__init__(
            f"App {app} was not ready after {seconds:g} s. Wait longer, or raise its "
            "startup_timeout."
        )


class DeadlineError(AppError):
    """The request took longer than it may.

    Attributes:
        by_user: whether the caller set the limit.
    """

    def __init__(self, seconds: float, *, what: str, by_user: bool) -> None:
        self.by_user = by_user
        super().__init__(f"The request {what} within {seconds:g} s.")


class RunnerLostError(AppError, TransientError):
    """The process that worked on the request ended."""

    def __init__(self, app: str) -> None:
        super().__init__(
            f"The runner of {app} stopped while working on this request. It is being replaced: "
            "send the request again."
        )


class RunnerUnreachableError(AppError, TransientError):
    """The runner does not take connections."""

    def __init__(self, app: str) -> None:
        super().__init__(f"The runner of {app} does not answer. Send the request again.")


class RunnerIncompleteError(AppError):
    """The runner's answer broke off or is not HTTP."""

    def __init__(self, app: str) -> None:
        super().__init__(f"The runner of {app} sent an answer that cannot be read.")


class RequestCancelledError(AppError):
    """The caller took the request back."""

    def __init__(self) -> None:
        super().__init__("The request was cancelled.")


# --- the command ---------------------------------------------------------------------------------


class ServerError(TowpathError):
    """The server cannot be started."""


class SettingsError(ServerError, ValueError):
    """A setting cannot be used."""


class AddressInUseError(ServerError):
    """Another program listens where we should."""

    def __init__(self, host: str, port: int, holder: str = "") -> None:
        held = f" ({holder})" if holder else ""
        super().__init__(f"Port {port} on {host} is in use{held}. Try `--port {port + 1}`.")


class StateInUseError(ServerError):
    """Another server owns the state folder."""

    def __init__(self, folder: str, holder: str) -> None:
        super().__init__(
            f"{folder} is served by another towpath ({holder}). Serve the apps together, "
            "`towpath run a.py b.py`, or give this one its own folder with `--state-dir`."
        )
