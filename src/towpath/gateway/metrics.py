"""Counts for Prometheus."""

from collections.abc import Mapping
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from towpath.engine.engine import AppStatus
from towpath.web.connections import Counts

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_GONE = 499  # the caller left before an answer
_NAMED = frozenset({_GONE, *HTTPStatus})


class Metrics:
    """What one server counts."""

    def __init__(self) -> None:
        self._counts = CollectorRegistry()
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "towpath_requests",
            "Requests by app and status; files and pages have no app.",
            ["app", "status"],
            registry=self._counts,
        )
        self._seconds = Histogram(
            "towpath_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ["app"],
            buckets=(0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
            registry=self._counts,
        )
        self._queued: set[str] = set()
        self._over_limit: dict[str, int] = {}
        self._waiting = Gauge(
            "towpath_queue_waiting",
            "Requests in the queue that wait for a runner.",
            ["app"],
            registry=self._counts,
        )
        self._runners = Gauge(
            "towpath_runners",
            "Runners that are starting, idle or busy.",
            ["app", "state"],
            registry=self._counts,
        )
        self._ready = Gauge(
            "towpath_app_ready",
            "1 when the app has a runner that takes requests.",
            ["app"],
            registry=self._counts,
        )
        self._restarts = Gauge(
            "towpath_runner_restarts",
            "How often a runner was replaced.",
            ["app"],
            registry=self._counts,
        )
        self._connections = Gauge(
            "towpath_connections",
            "Open connections: busy with a request or websocket, or silent.",
            ["state"],
            registry=self._counts,
        )
        self._crowded = Counter(
            "towpath_connections_over_limit",
            "Silent connections closed to make room, and requests refused for want of it.",
            ["outcome"],
            registry=self._counts,
        )
        self._files = Gauge("towpath_files", "Files in the store.", registry=self._counts)
        self._bytes = Gauge("towpath_files_bytes", "Bytes in the store.", registry=self._counts)

    def note_request(self, app: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            app: `owner/app` of an app that exists; '' for everything else. Names that strangers
                make up would be series for ever.
            status: of HTTP. Apps may answer any number, so one without a name counts by its class.
            seconds: what it took.
        """
        counter, histogram = self._of(app, status)
        counter.inc()
        histogram.observe(seconds)

    def _of(self, app: str, status: int) -> tuple[Counter, Histogram]:
        """Return what counts such requests; finding it by its labels takes longer than counting."""
        found = self._known.get((app, status))
        if found is None:
            found = self._requests.labels(app, _word_of(status)), self._seconds.labels(app)
            if status in _NAMED:
                self._known[app, status] = found
        return found

    def note_apps(self, statuses: Mapping[str, AppStatus]) -> None:
        """Note the state of the apps and their runners."""
        for app, status in statuses.items():
            self._ready.labels(app).set(status.state == "ready")
            self._restarts.labels(app).set(status.restarts)
            for word in ("starting", "idle", "busy"):
                self._runners.labels(app, word).set(getattr(status, word))

    def note_queue(self, waiting: Mapping[str, int]) -> None:
        """Note how many requests wait in the queue."""
        for app in self._queued - waiting.keys():
            self._waiting.labels(app).set(0)
        for app, count in waiting.items():
            self._queued.add(app)
            self._waiting.labels(app).set(count)

    def note_connections(self, counts: Counts) -> None:
        """Note who is connected."""
        self._connections.labels("silent").set(counts.silent)
        self._connections.labels("busy").set(counts.busy)
        for outcome, total in (("dismissed", counts.dismissed), ("refused", counts.refused)):
            before = self._over_limit.get(outcome, 0)
            self._crowded.labels(outcome).inc(total - before)
            self._over_limit[outcome] = total

    def note_files(self, count: int, size: int) -> None:
        """Note what is in the store."""
        self._files.set(count)
        self._bytes.set(size)

    def exposition(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        return generate_latest(self._counts)


def _word_of(status: int) -> str:
    """Return a status as a label."""
    return str(status) if status in _NAMED else f"{status // 100}xx"
