"""Error class -> status and body, in the shapes that clients know. The only place with codes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from towpath import errors as e
from towpath.errors import TowpathError
from towpath.errors.redaction import shown, shown_url

__all__ = ["RULES", "Problem", "problem_of", "shown_input", "validation_problem"]

_MOST_ERRORS = 20
_NO_ROOM = 507
_LONGEST_INPUT = 200
_LONGEST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as an HTTP answer.

    Attributes:
        status: the HTTP status code.
        body: `{"detail": …}`.
        headers: what goes beside it.
    """

    status: int
    body: Mapping[str, Any]  # Any: JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How an error class is answered.

    Attributes:
        status: the HTTP status code.
        shape: `text`, `infra` (text with an error_type) or `list` (entries with a loc).
        word: the error_type, or the entry's type.
    """

    status: int
    shape: str = "text"
    word: str = ""


RULES: dict[type[TowpathError], _Rule] = {
    e.DownloadError: _Rule(422, "list", "file_download_error"),
    e.InvalidURLError: _Rule(422, "list", "file_download_error"),
    e.BlockedAddressError: _Rule(422, "list", "file_download_error"),
    e.TooManyRedirectsError: _Rule(422, "list", "file_download_error"),
    e.BadResponseError: _Rule(422, "list", "file_download_error"),
    e.SourceStatusError: _Rule(422, "list", "file_download_error"),
    e.SourceUnavailableError: _Rule(422, "list", "file_download_error"),
    e.TruncatedError: _Rule(422, "list", "file_download_error"),
    e.SourceChangedError: _Rule(422, "list", "file_download_error"),
    e.DigestError: _Rule(422, "list", "file_download_error"),
    e.FileTooLargeError: _Rule(422, "list", "file_too_large"),
    e.DiskFullError: _Rule(507, "infra", "internal_error"),
    e.MediaError: _Rule(422, "list"),
    e.UnsupportedFormatError: _Rule(422, "list"),
    e.BrokenImageError: _Rule(422, "list"),
    e.ImageTooLargeError: _Rule(422, "list"),
    e.BrokenMediaError: _Rule(422, "list"),
    e.BrokenArchiveError: _Rule(422, "list"),
    e.UnsafeArchiveError: _Rule(422, "list"),
    e.InputError: _Rule(422, "list"),
    e.UploadError: _Rule(500),
    e.NoUploaderError: _Rule(500),
    e.UploadRefusedError: _Rule(500),
    e.UploadUnavailableError: _Rule(500),
    e.StorageError: _Rule(500),
    e.ObjectNotFoundError: _Rule(404),
    e.ObjectExistsError: _Rule(409),
    e.ObjectExpiredError: _Rule(410),
    e.RangeError: _Rule(416),
    e.StoreFullError: _Rule(507),
    e.StoreUnusableError: _Rule(503),
    e.TemporaryFullError: _Rule(507, "infra", "internal_error"),
    e.RequestError: _Rule(400),
    e.BodyTooLargeError: _Rule(413),
    e.BodyTimeoutError: _Rule(408),
    e.UnsupportedBodyError: _Rule(415),
    e.ServerBusyError: _Rule(503),
    e.ClientBusyError: _Rule(429),
    e.ContentCodingError: _Rule(415),
    e.TransferCodingError: _Rule(501),
    e.MissingKeyError: _Rule(401),
    e.MissingTokenError: _Rule(401),
    e.ForbiddenError: _Rule(403),
    e.UnknownAppError: _Rule(404),
    e.UnknownEndpointError: _Rule(404),
    e.AppError: _Rule(500),
    e.AppDefinitionError: _Rule(500),
    e.AppSetupError: _Rule(503, "infra", "runner_scheduling_failure"),
    e.AppNotLoadedError: _Rule(503, "infra", "runner_scheduling_failure"),
    e.AppDiskFullError: _Rule(507, "infra", "internal_error"),
    e.RequirementsError: _Rule(503, "infra", "runner_scheduling_failure"),
    e.AppStartingError: _Rule(503, "infra", "runner_scheduling_failure"),
    e.StartTimeoutError: _Rule(504, "infra", "startup_timeout"),
    e.DeadlineError: _Rule(504, "infra", "request_timeout"),
    e.RunnerLostError: _Rule(503, "infra", "runner_disconnected"),
    e.ServerStoppingError: _Rule(503, "infra", "runner_disconnected"),
    e.WebsocketNeededError: _Rule(426),
    e.WebsocketRefusedError: _Rule(403),
    e.WebsocketsFullError: _Rule(503, "infra", "runner_scheduling_failure"),
    e.RunnerUnreachableError: _Rule(503, "infra", "runner_connection_refused"),
    e.ServerShortageError: _Rule(503, "infra", "runner_connection_error"),
    e.RunnerIncompleteError: _Rule(502, "infra", "runner_incomplete_response"),
    e.RequestCancelledError: _Rule(499, "infra", "client_cancelled"),
    e.QueueError: _Rule(500),
    e.RequestNotFoundError: _Rule(404),
    e.WrongStateError: _Rule(400),
    e.IdempotencyKeyError: _Rule(422),
    e.QueueFullError: _Rule(429),
    e.LeaseLostError: _Rule(500),
    e.AnswerTooLargeError: _Rule(502),
    e.QueueUnavailableError: _Rule(503, "infra", "internal_error"),
    e.ServerError: _Rule(500),
    e.SettingsError: _Rule(500),
    e.AddressInUseError: _Rule(500),
    e.StateInUseError: _Rule(500),
}
_HEADERS: dict[type, dict[str, str]] = {
    e.UploadUnavailableError: {"X-Fal-Needs-Retry": "1"},
    e.UnknownAppError: {"x-fal-billable-units": "0"},
    e.UnknownEndpointError: {"x-fal-billable-units": "0"},
    e.MissingKeyError: {"WWW-Authenticate": "Key"},
    e.MissingTokenError: {"WWW-Authenticate": "Bearer"},
    e.ContentCodingError: {"Accept-Encoding": "identity"},
    e.ServerBusyError: {"Retry-After": "1"},
    e.ClientBusyError: {"Retry-After": "1"},
    e.ServerStoppingError: {"Retry-After": "1"},
    e.WebsocketsFullError: {"Retry-After": "1"},
}
_INSIDE = Problem(500, {"detail": "Internal Server Error"})


def problem_of(
    error: BaseException,
    *,
    loc: Sequence[str | int] | None = None,
    value: object = None,
    is_operator: bool = False,
) -> Problem:
    """Return the answer to *error*; anything that is not ours is a 500 that says nothing.

    Args:
        error: what was raised.
        loc: the input that is to blame; without one, a download or media error is the app's own
            fault: 500.
        value: the input's value, where the error does not know it.
        is_operator: whether who asks may know folders, hosts and settings.
    """
    rule = next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), None)
    if rule is None or not isinstance(error, TowpathError):
        return _INSIDE
    if rule.shape == "list":
        return _entry(error, rule, loc, value)
    told = str(error) if is_operator else error.told
    body: dict[str, Any] = {"detail": shown(told, _LONGEST_MESSAGE)}
    headers: dict[str, str] = {}
    if rule.shape == "infra":
        body["error_type"] = headers["X-Fal-Error-Type"] = rule.word
    return Problem(
        _NO_ROOM if _is_full(error) else rule.status, body, headers | _extra_headers(error)
    )


def _is_full(error: TowpathError) -> bool:
    """Return whether a disk is full, where the class alone does not say it."""
    if isinstance(error, e.UploadRefusedError):
        return error.status == _NO_ROOM
    return isinstance(error, e.QueueUnavailableError) and error.is_full


def _extra_headers(error: TowpathError) -> dict[str, str]:
    """Return what clients want to know beside status and body."""
    if isinstance(error, e.DeadlineError) and error.by_user:
        return {"X-Fal-Request-Timeout-Type": "user"}
    return next((_HEADERS[kind] for kind in type(error).__mro__ if kind in _HEADERS), {})


def _entry(
    error: TowpathError, rule: _Rule, loc: Sequence[str | int] | None, value: object
) -> Problem:
    """Return a list of one entry."""
    if isinstance(error, e.InputError):
        loc = ["body", error.field, *error.at] if error.field else ["body"]
    if loc is None:
        return _INSIDE
    entry: dict[str, Any] = {
        "loc": list(loc),
        "msg": shown(error.told, _LONGEST_MESSAGE),
        "type": rule.word or _word_of(error),
    }
    if ctx := _ctx(error):
        entry["ctx"] = ctx
    echo = shown_input(getattr(error, "url", None) or value)
    if echo is not None:
        entry["input"] = echo
    return Problem(rule.status, {"detail": [entry]}, {"x-fal-billable-units": "0"})


def _word_of(error: TowpathError) -> str:
    """Return the type of an entry, where the class alone does not say it."""
    if isinstance(error, e.MediaError):
        return error.slug
    return error.type if isinstance(error, e.InputError) else "value_error"


def _ctx(error: TowpathError) -> dict[str, Any]:  # Any: JSON
    """Return the numbers of an error."""
    if isinstance(error, e.FileTooLargeError):
        return {"max_size": error.limit, "size": error.size}
    if isinstance(error, e.ImageTooLargeError):
        return {"max_pixels": error.limit, "pixels": error.pixels}
    if isinstance(error, e.SourceStatusError):
        return {"status": error.status}
    if isinstance(error, e.InputError):
        return error.ctx
    return {}


def validation_problem(entries: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the answer to inputs that pydantic refused: at most 20 entries, short echoes."""
    detail = []
    for entry in entries[:_MOST_ERRORS]:
        kept: dict[str, Any] = {
            "loc": [shown(p, 100) if isinstance(p, str) else p for p in entry["loc"]],
            "msg": shown(str(entry.get("msg", "")), 300),
            "type": entry.get("type", "value_error"),
        }
        echo = shown_input(entry.get("input"))
        if echo is not None and entry.get("type") != "missing":
            kept["input"] = echo
        detail.append(kept)
    return Problem(422, {"detail": detail}, {"x-fal-billable-units": "0"})


def shown_input(value: object) -> bool | int | float | str | None:
    """Return *value* if an answer may echo it: a short scalar; URLs without their secrets."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**18 else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > _LONGEST_INPUT:
        return None
    if "://" in value or value[:5].lower() == "data:":
        return shown_url(value)
    return shown(value)
