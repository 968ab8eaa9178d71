"""Counts for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


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
        self._files = Gauge("towpath_files", "Files in the store.", registry=self._counts)
        self._bytes = Gauge("towpath_files_bytes", "Bytes in the store.", registry=self._counts)

    def note_request(self, app: str, status: int, seconds: float) -> None:
        """Count a request."""
        counter, histogram = self._of(app, status)
        counter.inc()
        histogram.observe(seconds)

    def _of(self, app: str, status: int) -> tuple[Counter, Histogram]:
        """Return what counts such requests; finding it by its labels takes longer than counting."""
        found = self._known.get((app, status))
        if found is None:
            found = self._requests.labels(app, str(status)), self._seconds.labels(app)
            self._known[app, status] = found
        return found

    def note_apps(self, states: Mapping[str, str], restarts: Mapping[str, int]) -> None:
        """Note the state of the apps."""
        for app, state in states.items():
            self._ready.labels(app).set(state == "ready")
            self._restarts.labels(app).set(restarts.get(app, 0))

    def note_files(self, count: int, size: int) -> None:
        """Note what is in the store."""
        self._files.set(count)
        self._bytes.set(size)

    def exposition(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        return generate_latest(self._counts)
