"""What Prometheus is told: requests, times, queues, batches, outcomes. No picture and no number is among it."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from handigit.web.service import Answered, Service

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The figures of one application, in a registry of their own."""

    def __init__(self, service: Service) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._service = service
        self._requests = Counter(
            "handigit_requests", "Requests answered", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "handigit_request_seconds", "Seconds from head to end", ["route"], buckets=_SECONDS, registry=registry
        )
        self._outcomes = Counter("handigit_answers", "Answers given", ["kind", "outcome"], registry=registry)
        batch = Histogram("handigit_batch_size", "Pictures read together", ["kind"], buckets=_SIZES, registry=registry)
        # Finding a label takes longer than counting. There are as many as routes, methods and statuses.
        self._counted, self._timed = cache(self._requests.labels), cache(self._seconds.labels)
        self._came_to = cache(self._outcomes.labels)
        service.on_answered = self.outcomes
        for kind, lane in service.lanes.items():
            lane.on_batch = batch.labels(kind).observe
        waiting = Gauge("handigit_waiting", "Pictures accepted and not yet answered", registry=registry)
        waiting.set_function(lambda: service.waiting)
        ready = Gauge("handigit_ready", "1 while the server is ready", registry=registry)
        ready.set_function(lambda: service.state == "ready")
        self._model = Info("handigit_model", "The model in use", registry=registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._counted(route, method if method in _METHODS else "other", status).inc()
        self._timed(route).observe(seconds)

    def refused(self, route: str, method: str, status: int) -> None:
        """Count one request that was refused at the door, in no time."""
        self._counted(route, method, status).inc()

    def outcomes(self, kind: str, answered: Answered) -> None:
        """Count what one page came to."""
        for number in answered.read.numbers if answered.read else ():
            self._came_to(kind, number.outcome.value).inc()

    def as_text(self) -> bytes:
        """All figures in Prometheus's text format."""
        if self._service.models.is_loaded:
            model = self._service.models.active
            self._model.info({"name": model.name, "sha256": ",".join(model.digests)})
        return generate_latest(self._registry)
