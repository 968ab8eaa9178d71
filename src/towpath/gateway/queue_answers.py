"""A queued request as its callers see it, in the shapes that clients know. Pure."""

from collections.abc import Sequence
from typing import Any, TypeGuard

from towpath.clock import iso
from towpath.queue.requests import CancelAnswer, LogLine, QueuedRequest
from towpath.queue.texts import read_json, writable
from towpath.runner.wire import FOR_OPERATOR

__all__ = [
    "CANCELLED_WORDS",
    "eta_of",
    "is_for_callers",
    "log_json",
    "status_json",
    "submitted_json",
    "urls_of",
]

CANCELLED_WORDS: dict[CancelAnswer, str] = {
    "removed": "OK",
    "requested": "CANCELLATION_REQUESTED",
    "completed": "ALREADY_COMPLETED",
}
_WORDS = {"queued": "IN_QUEUE", "running": "IN_PROGRESS", "done": "COMPLETED"}


def urls_of(origin: str, app: str, request_id: str) -> dict[str, str]:
    """Return where a request is asked about."""
    base = f"{origin}/queue/{app}/requests/{request_id}"
    return {
        "request_id": request_id,
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
    }


def submitted_json(request: QueuedRequest, origin: str) -> dict[str, Any]:  # Any: JSON
    """Return the answer to a submitted request; a repeated one may be on its way already."""
    urls = urls_of(origin, request.app, request.request_id)
    return {"status": "IN_QUEUE", **urls, "queue_position": request.position or 0}


def status_json(
    request: QueuedRequest,
    origin: str,
    lines: Sequence[LogLine] | None,
    eta: float | None,
) -> dict[str, Any]:  # Any: JSON
    """Return where a request stands.

    Args:
        request: as it is in the queue.
        origin: the prefix of its URLs.
        lines: of its log, None when they were not asked for.
        eta: seconds until it is done, as far as one can tell.
    """
    urls = urls_of(origin, request.app, request.request_id)
    said: dict[str, Any] = {"status": _WORDS[request.state], **urls}
    said |= {"progress": _progress(request), "eta": eta}
    if request.state == "queued":
        return said | {"queue_position": request.position or 0}
    said["logs"] = None if lines is None else [log_json(line) for line in lines]
    if request.state == "done":
        said["metrics"] = {"inference_time": _seconds(request)}
        if request.kind != "ok":
            said["error"] = writable(request.error or "")
            if request.error_type:
                said["error_type"] = request.error_type
    return said


def is_for_callers(line: LogLine) -> bool:
    """Return whether callers may read a line of their request's log."""
    return not line.level.startswith(FOR_OPERATOR)


def log_json(line: LogLine) -> dict[str, Any]:  # Any: JSON
    """Return one line of a log, and at which attempt it was written where that is known."""
    level = line.level.removeprefix(FOR_OPERATOR)
    said = {"message": writable(line.message), "level": level, "source": line.source}
    said["timestamp"] = iso(line.at)
    return said if line.attempt is None else {**said, "attempt": line.attempt}


def eta_of(request: QueuedRequest, usual: float | None, room: int, now: float) -> float | None:
    """Return in how many seconds a request will be done: by what it says, or by what is usual.

    Args:
        request: as it is in the queue.
        usual: seconds that the app's requests take.
        room: requests that are worked on at once.
        now: the moment.
    """
    if request.state == "queued":
        return None if usual is None else round(usual * ((request.position or 0) // room + 1), 1)
    if request.state == "done" or request.started is None:
        return None
    spent = max(0.0, now - request.started)
    said = _progress(request)
    done, total = (said.get("done"), said.get("total")) if isinstance(said, dict) else (0, 0)
    if _is_number(done) and _is_number(total) and 0 < done <= total:
        return round(float(spent * (total - done) / done), 1)
    return None if usual is None else round(max(0.0, usual - spent), 1)


def _progress(request: QueuedRequest) -> Any:  # noqa: ANN401 - JSON
    """Return what the endpoint said last."""
    return read_json(request.progress)


def _is_number(value: object) -> TypeGuard[float]:
    """Return whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(request: QueuedRequest) -> float | None:
    """Return how long the last attempt took."""
    if request.started is None or request.finished is None or request.kind == "cancelled":
        return None
    return round(max(0.0, request.finished - request.started), 3)
