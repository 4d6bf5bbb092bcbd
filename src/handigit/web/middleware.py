"""ASGI middleware around the whole application: host, origin and rate checks, errors to problems, log and metrics.

Roles are checked in `auth.py`.
"""

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from handigit.web.exchange_limits import RequestGuard
from handigit.web.metrics import Metrics
from handigit.web.problems import FORBIDDEN, TOO_MANY, Problem, problem_of

log = logging.getLogger(__name__)
LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Polled by machines every few seconds: not rate-limited, and logged only when they fail."""


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """`hosts`: accepted host names, None for any; `rate_per_minute`: per address, None for no limit."""

    max_bytes: float
    hosts: frozenset[str] | None
    rate_per_minute: int | None


class TokenBucket:
    """A rate limit per caller: `burst` at once, then `per_minute`; callers seen longest ago are forgotten."""

    _MAX_CALLERS: Final = 10_000

    def __init__(self, per_minute: int, *, burst: float) -> None:
        self._per_s = per_minute / 60
        self._burst = max(1.0, burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Count one request; returns the seconds until the next is allowed, 0 if this one is."""
        now = time.monotonic()
        level, before = self._buckets.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - before) * self._per_s)
        self._buckets[caller] = (max(level - 1, 0) if level >= 1 else level, now)
        if len(self._buckets) > self._MAX_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if level >= 1 else (1 - level) / self._per_s


class GuardMiddleware:
    """Checks every request, and logs and counts every response."""

    def __init__(self, app: ASGIApp, *, policy: RequestPolicy, metrics: Metrics) -> None:
        self._app = app
        self._policy = policy
        self._metrics = metrics
        rate = policy.rate_per_minute
        self._rate = TokenBucket(rate, burst=rate / 6) if rate else None
        self._refusals = _RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guard = RequestGuard(scope, receive, send, max_bytes=self._policy.max_bytes)
        try:
            self._check(scope, guard)
            await self._app(scope, guard.receive, guard.send)
        except Exception as error:  # the last place where it can become a response
            await _answer_error(error, scope, guard)
        finally:
            self._record(scope, guard)

    def _check(self, scope: Scope, guard: RequestGuard) -> None:
        """Every check that needs only the request's head.

        Raises:
            Problem: one of them fails.
        """
        _check_host(guard.headers, self._policy.hosts)
        if scope["method"] not in _SAFE_METHODS:
            _check_origin(guard.headers)
        if self._rate and scope["path"] not in _PROBES:
            wait_s = self._rate.take((scope.get("client") or ("unknown",))[0])
            if wait_s:
                raise too_many("too many requests from this address", wait_s)
        guard.check_declared()

    def _record(self, scope: Scope, guard: RequestGuard) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        seconds = time.perf_counter() - guard.started
        self._metrics.count_request(route, scope["method"], guard.status, seconds)
        if guard.status == TOO_MANY.status:
            self._refusals.add()
        elif route not in _PROBES or guard.status >= 400:
            fields = {
                "request_id": guard.request_id,
                "method": scope["method"],
                "route": route,
                "status": guard.status,
                "ms": round(seconds * 1e3, 2),
                "bytes": guard.received,
                "finished": guard.finished,
            }
            log.info("answered", extra=fields)


class _RefusalLog:
    """One line per second for all 429s, so that a flood of requests does not become a flood of lines."""

    def __init__(self) -> None:
        self._count = 0
        self._logged_at = 0.0

    def add(self) -> None:
        """Count one refusal."""
        self._count += 1
        now = time.monotonic()
        if now - self._logged_at > 1:
            log.warning("refused", extra={"status": TOO_MANY.status, "count": self._count})
            self._count, self._logged_at = 0, now


async def _answer_error(error: Exception, scope: Scope, guard: RequestGuard) -> None:
    """Send an error's problem, unless a response has started."""
    problem = problem_of(error)
    if problem.kind.status >= 500:
        log_failure(error, guard.request_id)
    if not guard.status:
        await problem.as_response(guard.request_id)(scope, guard.receive, guard.send)


def log_failure(error: Exception, request_id: str) -> None:
    """Log where an error was raised, without its message, which may quote what was read."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        frames.append(f"{trace.tb_frame.f_globals.get('__name__')}.{code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    extra: dict[str, Any] = {"request_id": request_id, "error": type(error).__name__, "where": frames[-6:]}
    log.error("failed", extra=extra)


def too_many(detail: str, wait_s: float) -> Problem:
    """A 429 for one caller, with `Retry-After`."""
    seconds = max(1, round(wait_s + 0.5))
    return Problem(TOO_MANY, f"{detail}; try again in {seconds} s", headers={"Retry-After": str(seconds)})


def _check_host(headers: dict[bytes, bytes], hosts: frozenset[str] | None) -> None:
    """Against DNS rebinding: a foreign page whose host name resolves to this server."""
    if hosts is None:
        return
    name = _without_port(headers.get(b"host", b"").decode("latin-1").lower())
    if name not in hosts:
        raise Problem(FORBIDDEN, f"{name[:100]!r} is not a host name of this server; add it to HANDIGIT_HOSTS")


def _check_origin(headers: dict[bytes, bytes]) -> None:
    """Against request forgery: changes come from this server's own pages, or from no page at all."""
    origin = headers.get(b"origin")
    own = headers.get(b"host", b"").decode("latin-1").lower()
    if origin is not None and _authority(origin.decode("latin-1").lower()) != own:
        raise Problem(FORBIDDEN, "the request comes from a page of another origin; send it from this server's pages")
    if headers.get(b"sec-fetch-site", b"none") in (b"cross-site", b"same-site"):
        raise Problem(FORBIDDEN, "the request comes from another site; send it from this server's pages")


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _without_port(host: str) -> str:
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host
