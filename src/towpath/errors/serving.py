"""What a caller of the server did wrong, and what apps, runners and the command fail at."""

from collections.abc import Sequence
from pathlib import Path

from towpath.errors.redaction import shown
from towpath.errors.root import TowpathError, TransientError

__all__ = [
    "AddressInUseError",
    "AppDefinitionError",
    "AppDiskFullError",
    "AppError",
    "AppNotLoadedError",
    "AppSetupError",
    "AppStartingError",
    "BodyTimeoutError",
    "BodyTooLargeError",
    "ClientBusyError",
    "ContentCodingError",
    "DeadlineError",
    "ForbiddenError",
    "MissingKeyError",
    "MissingTokenError",
    "RequestCancelled",
    "RequestCancelledError",
    "RequestError",
    "RequirementsError",
    "RunnerIncompleteError",
    "RunnerLostError",
    "RunnerUnreachableError",
    "ServerBusyError",
    "ServerError",
    "ServerShortageError",
    "ServerStoppingError",
    "SettingsError",
    "StartTimeoutError",
    "StateInUseError",
    "TransferCodingError",
    "UnknownAppError",
    "UnknownEndpointError",
    "UnsupportedBodyError",
    "WebsocketNeededError",
    "WebsocketRefusedError",
    "WebsocketsFullError",
]


class RequestError(TowpathError):
    """A caller of the server asked for something that it does not do.

    Args:
        message: what, and what to do.
        advice: see TowpathError.
    """

    def __init__(self, message: str, *, advice: str = "") -> None:
        self.advice = advice
        super().__init__(f"{message} {advice}".rstrip())


class BodyTooLargeError(RequestError):
    """The request's body is over the limit."""

    def __init__(self, *, limit: int, size: int | None = None, fix: str | None = None) -> None:
        self.limit = limit
        self.size = size
        has = f"{size} bytes" if size is not None else "larger"
        less = "" if fix else " Send large files by URL."
        super().__init__(
            f"The body is {has}, and the limit is {limit} bytes.{less}",
            advice=fix or "Raise TOWPATH_MAX_BODY_BYTES to take it.",
        )


class BodyTimeoutError(RequestError):
    """The request's body came too slowly."""

    def __init__(self, got: int) -> None:
        self.got = got
        super().__init__(f"The body came too slowly: {got} bytes so far. Send it again.")


class ContentCodingError(RequestError):
    """The request's body has a Content-Encoding."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        super().__init__(
            f"A body with Content-Encoding {shown(coding, 80)!r} is not read here. Send it without "
            "one."
        )


class TransferCodingError(RequestError):
    """The request comes in a transfer coding that is not understood."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        super().__init__(
            f"Transfer-Encoding {shown(coding, 80)!r} is not understood. Send the body chunked, or "
            "with its Content-Length."
        )


class UnsupportedBodyError(RequestError):
    """The request's body is in a form that is not read."""

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        super().__init__(
            f"A body of type {shown(content_type, 80)!r} is not read. Send application/json or "
            "multipart/form-data."
        )


class ServerBusyError(RequestError, TransientError):
    """The server works on as many requests as it may."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"The server is at work on {limit} requests, which is its limit. Send the request "
            "again in a moment."
        )


class ClientBusyError(RequestError, TransientError):
    """The caller has as many requests at work as one client may."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"{limit} requests from your address are at work, which is the limit. Wait for one "
            "of them to end, and send the request again."
        )


class MissingKeyError(RequestError):
    """The call needs a key, and came without a valid one.

    Args:
        key_id: of a key that is not known, '' if it has none; None: no key came.
    """

    def __init__(self, key_id: str | None = None) -> None:
        reason = "This server needs a key." if key_id is None else "This key is not known."
        named = f"Its id is {shown(key_id, 80)!r}. " if key_id else ""
        super().__init__(
            f"{reason} Send `Authorization: Key <id>:<secret>`.",
            advice=f"{named}TOWPATH_KEYS has the keys.",
        )


class MissingTokenError(RequestError):
    """The call is the operator's, and came without the operator's token."""

    def __init__(self) -> None:
        super().__init__(
            "This needs the operator's token. Send `Authorization: Bearer <token>`.",
            advice="TOWPATH_ADMIN_TOKEN has the token.",
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


class WebsocketNeededError(RequestError):
    """The endpoint is a websocket, and was called with a plain request."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{shown(path, 80)} is a websocket. Connect to it with a ws:// or wss:// URL."
        )


class AppError(TowpathError):
    """An app cannot be defined, started or reached."""


class AppDefinitionError(AppError):
    """The class does not declare an app that can be served.

    Attributes:
        traceback: of the author's code that failed, without our frames; '' if none did.
    """

    def __init__(self, message: str, *, traceback: str = "") -> None:
        self.traceback = traceback
        super().__init__(message)


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


class AppNotLoadedError(AppSetupError):
    """The app's code cannot be loaded, and is not tried again; for callers."""

    def __init__(self, app: str) -> None:
        super().__init__(app)
        sentence = (
            f"App {app} cannot be loaded; the server's log says why. It stays so until the app's "
            "code is mended: do not try again."
        )
        self.args = (sentence,)


class AppDiskFullError(AppError):
    """The app met a full disk.

    Attributes:
        path: what it was writing, where the system says it; for logs, never for callers.
        free: bytes that are free there.
    """

    def __init__(self, path: Path | None, *, free: int) -> None:
        self.path = path
        self.free = free
        self.advice = f"It has {free} bytes left. Free some space."
        full = "the server's disk is full. Try again later."
        super().__init__(f"The app could not write a file: {full} {self.advice}")


class RequirementsError(AppSetupError):
    """An app's requirements cannot be installed; for operators, callers get AppSetupError."""

    def __init__(self, app: str, reason: str, *, traceback: str = "") -> None:
        super().__init__(app, traceback=traceback)
        sentence = (
            f"The requirements of {app} cannot be installed: {reason}. Correct them, or see that "
            "the package index can be reached."
        )
        self.args = (sentence,)


class AppStartingError(AppError, TransientError):
    """The app is still being loaded."""

    def __init__(self, app: str) -> None:
        super().__init__(f"App {app} is still being loaded. Send the request again in a moment.")


class StartTimeoutError(AppError):
    """The app was not ready in time."""

    def __init__(self, app: str, seconds: float) -> None:
        self.advice = "Raise its startup_timeout to give it longer."
        super().__init__(
            f"App {app} was not ready after {seconds:g} s. Try again later. {self.advice}"
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


class ServerStoppingError(AppError, TransientError):
    """The server was told to stop before it could answer."""

    def __init__(self) -> None:
        super().__init__(
            "The server stops, and has not answered this request. Send it again in a moment."
        )


class WebsocketsFullError(AppError, TransientError):
    """The runner has as many websockets open as the app allows.

    Attributes:
        limit: how many.
    """

    def __init__(self, app: str, limit: int) -> None:
        self.limit = limit
        self.advice = "Raise the app's max_websockets for more."
        super().__init__(
            f"A runner of {app} has {limit} websockets open, its limit. Connect again in a "
            f"moment. {self.advice}"
        )


class WebsocketRefusedError(AppError):
    """The app's own code did not accept the websocket."""

    def __init__(self, app: str) -> None:
        super().__init__(f"App {app} did not accept this websocket.")


class RunnerUnreachableError(AppError, TransientError):
    """The runner does not take connections."""

    def __init__(self, app: str) -> None:
        super().__init__(f"The runner of {app} does not answer. Send the request again.")


class ServerShortageError(AppError, TransientError):
    """The server cannot open a connection to a runner: it has no descriptor or memory left."""

    def __init__(self, app: str) -> None:
        super().__init__(
            f"The server has no room for another connection to {app} right now. Send the request "
            "again in a moment."
        )


class RunnerIncompleteError(AppError):
    """The runner's answer broke off or is not HTTP."""

    def __init__(self, app: str) -> None:
        super().__init__(f"The runner of {app} sent an answer that cannot be read.")


class RequestCancelledError(AppError):
    """The caller took the request back."""

    def __init__(self) -> None:
        super().__init__("The request was cancelled.")


class RequestCancelled(BaseException):
    """Raised inside of an endpoint when nobody waits for its answer any more.

    Clean up, and let it pass. Code that swallows it and goes on is ended with its process after the
    app's grace.
    """


class ServerError(TowpathError):
    """The server cannot be started."""


class SettingsError(ServerError, ValueError):
    """A setting cannot be used."""


class AddressInUseError(ServerError):
    """Another program listens where we should."""

    def __init__(self, host: str, port: int, holder: str = "", *, flag: str = "--port") -> None:
        held = f" ({holder})" if holder else ""
        super().__init__(f"Port {port} on {host} is in use{held}. Try `{flag} {port + 1}`.")


class StateInUseError(ServerError):
    """Another server owns the state folder."""

    def __init__(self, folder: str, holder: str) -> None:
        super().__init__(
            f"{folder} is served by another towpath ({holder}). Serve the apps together, "
            "`towpath run a.py b.py`, or give this one its own folder with `--state-dir`."
        )
