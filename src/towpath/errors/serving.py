"""What a caller of the server did wrong, and what apps, runners and the command fail at."""

from collections.abc import Sequence

from towpath.errors.redaction import shown
from towpath.errors.root import TowpathError, TransientError

__all__ = [
    "AddressInUseError",
    "AppDefinitionError",
    "AppError",
    "AppSetupError",
    "AppStartingError",
    "BodyTimeoutError",
    "BodyTooLargeError",
    "DeadlineError",
    "ForbiddenError",
    "MissingKeyError",
    "RequestCancelled",
    "RequestCancelledError",
    "RequestError",
    "RequirementsError",
    "RunnerIncompleteError",
    "RunnerLostError",
    "RunnerUnreachableError",
    "ServerError",
    "SettingsError",
    "StartTimeoutError",
    "StateInUseError",
    "UnknownAppError",
    "UnknownEndpointError",
    "UnsupportedBodyError",
]


_LESS = "Send large files by URL, or raise TOWPATH_MAX_BODY_BYTES."


class RequestError(TowpathError):
    """A caller of the server asked for something that it does not do."""


class BodyTooLargeError(RequestError):
    """The request's body is over the limit."""

    def __init__(self, *, limit: int, size: int | None = None, fix: str | None = None) -> None:
        self.limit = limit
        self.size = size
        has = f"{size} bytes" if size is not None else "larger"
        super().__init__(f"The body is {has}, and the limit is {limit} bytes. {fix or _LESS}")


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
