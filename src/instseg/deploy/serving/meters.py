"""The numbers of a server for Prometheus."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PATHS = ("/predict", "/health", "/metrics", "/labelstudio/predict", "/labelstudio/setup", "/labelstudio/health",
         "/v1/models", "/v1/predict")  # fmt: skip
"""Paths that are counted by name; whatever else is asked for is one."""
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
ABORTED = "aborted"
"""The status of a request whose sender has left."""


class Meters:
    """Counters of one server.

    Args:
        waiting: returns the requests with an image that are being worked on.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter("instseg_requests", "Requests", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "instseg_request_seconds", "From request to answer", ["path"], registry=self._registry
        )
        self._batches = Histogram(
            "instseg_batch_images", "Images in a batch", buckets=BATCH_SIZES, registry=self._registry
        )
        self._instances = Counter(
            "instseg_instances", "Instances in the answers", ["category"], registry=self._registry
        )
        Gauge("instseg_waiting", "Requests with an image now", registry=self._registry).set_function(waiting)

    @contextmanager
    def request(self, path: str) -> Iterator[Callable[[int], None]]:
        """Measure a request.

        Args:
            path: that is asked for.

        Yields:
            A function that is told the status of the answer.
        """
        known, start, status = path if path in PATHS else "other", perf_counter(), ABORTED

        def answered(code: int) -> None:
            nonlocal status
            status = str(code)

        try:
            yield answered
        finally:
            self._requests.labels(known, status).inc()
            self._seconds.labels(known).observe(perf_counter() - start)

    def batch(self, num_images: int) -> None:
        """Note a batch that the network has worked on."""
        self._batches.observe(num_images)

    def instances(self, names: Iterable[str]) -> None:
        """Note the categories of the instances of an answer."""
        for name, count in Counts(names).items():
            self._instances.labels(name).inc(count)

    def text(self) -> bytes:
        """Return all of them in the format of Prometheus."""
        return generate_latest(self._registry)
