"""Prometheus metrics: requests, durations, queues, batches, outcomes. They contain no picture and no number."""

from collections.abc import Callable, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from handigit.records import Number
from handigit.web.served_model import Model

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "handigit_requests", "Requests answered", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "handigit_request_seconds", "Seconds from head to end", ["route"], buckets=_SECONDS, registry=registry
        )
        self._outcomes = Counter("handigit_answers", "Answers given", ["kind", "outcome"], registry=registry)
        self._batches = Histogram(
            "handigit_batch_size", "Pictures read together", ["kind"], buckets=_SIZES, registry=registry
        )
        self._waiting = Gauge("handigit_waiting", "Pictures accepted and not yet answered", registry=registry)
        self._ready = Gauge("handigit_ready", "1 while the server is ready", registry=registry)
        self._workers = Gauge("handigit_workers", "Worker processes that run", registry=registry)
        self._restarts = Gauge("handigit_worker_restarts", "Worker processes started again", registry=registry)
        self._model = Info("handigit_model", "The active model", registry=registry)
        # Looking up a label takes longer than counting. There are as many as routes, methods and statuses.
        self._request_of, self._seconds_of = cache(self._requests.labels), cache(self._seconds.labels)
        self._outcome_of = cache(self._outcomes.labels)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request and its duration."""
        self._request_of(route, method if method in _METHODS else "other", status).inc()
        self._seconds_of(route).observe(seconds)

    def count_outcomes(self, kind: str, numbers: Sequence[Number]) -> None:
        """Count the outcomes on one page."""
        for number in numbers:
            self._outcome_of(kind, number.outcome.value).inc()

    def batch_observer(self, kind: str) -> Callable[[int], None]:
        """A function that takes the size of each batch of this kind."""
        observe: Callable[[int], None] = self._batches.labels(kind).observe
        return observe

    def as_text(self, *, waiting: int, is_ready: bool, model: Model | None, workers: int, restarts: int) -> bytes:
        """All metrics in Prometheus's text format; `waiting`: pictures accepted and unanswered."""
        self._workers.set(workers)
        self._restarts.set(restarts)
        self._waiting.set(waiting)
        self._ready.set(is_ready)
        if model:
            self._model.info({"name": model.name, "sha256": ",".join(model.digests)})
        return generate_latest(self._registry)
